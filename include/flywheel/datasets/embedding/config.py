"""How triplets are made of retrieval traffic: the profile's `triplets`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TripletConfig(BaseModel):
    """Hard negatives of a training row, and what the retriever is evaluated on. For embedding jobs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    negatives: int = Field(default=4, ge=1, le=32, description="Negatives of a training row, at most.")
    near_identical: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Queries that share this much of their words (Jaccard) stay in one set, and what one of "
        "them used is a negative of none.",
    )
    same_document: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="A document that shares this much of its words with a positive is no negative.",
    )
    corpus_documents: int = Field(
        default=10_000,
        ge=1,
        description="Documents that the evaluation searches: what the holdout's queries retrieved, and of "
        "the others a sample by the seed.",
    )
