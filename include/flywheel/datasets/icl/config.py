"""What a run says about its in-context examples."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ExampleSelection(StrEnum):
    """How the examples of an item are chosen."""

    UNIFORM = "uniform_distribution"
    """Labels take turns, so that each is shown equally often over the items."""
    SIMILAR = "semantic_similarity"
    """What is most like the item, and beside it what was shown least."""


class SimilarityConfig(BaseModel):
    """Options of `semantic_similarity`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    relevance_ratio: float = Field(
        default=0.7, ge=0, le=1, description="Share of the places for the most like; the rest covers tools."
    )


class EmbeddingConfig(BaseModel):
    """The embedding model by whose vectors examples are chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        min_length=1,
        description="Its name in API calls. One that the NIM catalogue knows is deployed; runs share it.",
    )
    conn_id: str = Field(default="nemo", min_length=1, description="Connection of the NIM proxy to ask.")
    batch_size: int = Field(default=32, ge=1, le=2048, description="Texts in one request.")
    timeout_seconds: float = Field(default=60, gt=0, description="For one request, which is tried again.")


class IclConfig(BaseModel):
    """How many examples a request may carry, and how long it may become. Lengths are estimated tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_context_length: int = Field(default=32768, ge=1, description="Context length of the model, tokens.")
    reserved_tokens: int = Field(default=4096, ge=0, description="Tokens kept free for the answer.")
    max_examples: int = Field(default=3, ge=1, le=99, description="Examples in one request, at most.")
    min_examples: int = Field(
        default=1, ge=1, description="A request that cannot carry this many keeps its base form."
    )
    example_selection: ExampleSelection = ExampleSelection.UNIFORM
    similarity_config: SimilarityConfig = SimilarityConfig()
    embedding: EmbeddingConfig | None = Field(
        default=None,
        description="For `semantic_similarity`. null, or where it does not answer: by words in common.",
    )

    @model_validator(mode="after")
    def _possible(self) -> IclConfig:
        if self.reserved_tokens >= self.max_context_length:
            msg = (
                f"reserved_tokens {self.reserved_tokens} leaves nothing of max_context_length "
                f"{self.max_context_length}: lower reserved_tokens or raise max_context_length"
            )
            raise ValueError(msg)
        if self.embedding is not None and self.example_selection is ExampleSelection.UNIFORM:
            msg = (
                f"embedding.model {self.embedding.model!r} is used by example_selection "
                f"{ExampleSelection.SIMILAR.value} alone, but that is {self.example_selection.value}: change "
                "it, or leave embedding out"
            )
            raise ValueError(msg)
        if self.min_examples > self.max_examples:
            msg = (
                f"min_examples {self.min_examples} is above max_examples {self.max_examples}: "
                "lower min_examples or raise max_examples"
            )
            raise ValueError(msg)
        return self

    @property
    def relevant_places(self) -> int:
        """Places of an item for what is most like it; at least one where the share is not 0."""
        if self.example_selection is ExampleSelection.UNIFORM:
            return 0
        share = self.similarity_config.relevance_ratio
        return max(1, round(share * self.max_examples)) if share else 0
