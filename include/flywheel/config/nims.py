"""The NIM catalogue: facts about each candidate model, from `nims.yaml`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from include.flywheel.config.base import StrictModel, read_yaml, validate
from include.flywheel.config.prices import Price, load_prices
from include.flywheel.errors import ConfigError, UnknownName

CATALOGUE = Path(__file__).parent / "nims.yaml"
# Names another catalogue, for example one that a deployment mounts.
CATALOGUE_VARIABLE = "FLYWHEEL_NIMS"
# The shortest context of any LLM in the catalogue: no model is asked for more than it is likely to take.
ICL_CONTEXT_TOKENS_WHERE_UNKNOWN = 8192

Fact = Literal[
    "image",
    "parameters",
    "gpus",
    "context_tokens",
    "tool_calling",
    "dimensions",
    "customization",
    "max_seq_length",
]
_NEEDED_TO_DEPLOY = ("image_name", "image_tag", "gpus")


class NimType(StrEnum):
    """What a NIM answers with."""

    LLM = "llm"
    EMBEDDING = "embedding"


class Customization(StrictModel):
    """How the Customizer trains this NIM."""

    target: str = Field(description="Customization target, `namespace/name@version`.")
    finetuning_type: Literal["lora", "all_weights"] = "lora"
    num_gpus: int = Field(ge=1, le=1024, description="GPUs that a training job holds.")
    max_seq_length: int = Field(
        default=4096,
        ge=1,
        le=100_000_000,
        description="Longest training row, in tokens: ours to choose; as most templates.",
    )
    micro_batch_size: int = Field(default=1, ge=1, le=1024)
    tensor_parallel_size: int = Field(default=1, ge=1, le=1024)
    training_precision: str = "bf16-mixed"


class Nim(StrictModel):
    """One NIM. A fact that is null is not known."""

    name: str = Field(description="Model name in API calls.")
    type: NimType = NimType.LLM
    enabled: bool = Field(default=True, description="false: no new run uses it.")
    image_name: str | None = Field(default=None, min_length=1)
    image_tag: str | None = Field(default=None, min_length=1)
    parameters: float = Field(gt=0, description="Number of parameters.")
    gpus: int | None = Field(default=None, ge=1, description="GPUs (80 GB class) that a deployment holds.")
    context_tokens: int | None = Field(default=None, ge=1, description="Prompt and answer together.")
    tool_calling: bool | None = None
    dimensions: int | None = Field(default=None, ge=1, description="Length of an embedding NIM's vectors.")
    customization: Customization | None = Field(
        default=None, description="None: evaluated as it is and with examples, never customized."
    )
    price_per_million_tokens: Price | None = Field(
        default=None, description="Where the entry has none: the first of the price table."
    )
    note: str = Field(default="", description="What an administrator should know.")
    sources: dict[Fact, str] = Field(
        default={}, description="Whose each fact is: letters of the catalogue's list, with blanks between."
    )

    @model_validator(mode="after")
    def _trained_as_llms_are(self) -> Self:
        trained = self.customization.finetuning_type if self.customization else "lora"
        if self.type is NimType.LLM and trained != "lora":
            raise ValueError(
                f"`customization.finetuning_type` = {trained!r}: an LLM is trained with a LoRA; "
                "say lora, or leave `customization` out"
            )
        return self

    @property
    def slug(self) -> str:
        """The name within the alphabet of remote names, e.g. `meta-llama-3.2-1b-instruct`."""
        return self.name.replace("/", "-")

    @property
    def icl_context_tokens(self) -> int:
        """Context length to which examples are chosen; a stated low one where the NIM's is not known."""
        return self.context_tokens or ICL_CONTEXT_TOKENS_WHERE_UNKNOWN

    @property
    def unknown_to_deploy(self) -> list[str]:
        """Fields without which it cannot be deployed, and which are not known."""
        return [field for field in _NEEDED_TO_DEPLOY if getattr(self, field) is None]

    @property
    def unknown_facts(self) -> list[str]:
        """Every fact of its type that is not known, those to deploy first."""
        of_type = "tool_calling" if self.type is NimType.LLM else "dimensions"
        others = [name for name in ("context_tokens", of_type) if getattr(self, name) is None]
        return [*self.unknown_to_deploy, *others]


class Catalogue(StrictModel):
    """The file: its sources by letter, and its NIMs in order."""

    sources: dict[str, str] = Field(default={}, description="Text by letter.")
    nims: list[Nim]


def read_catalogue(path: Path | None = None) -> Catalogue:
    """The catalogue's file: `path`, else the one that FLYWHEEL_NIMS names, else our own.

    Raises ConfigError for a bad file, two NIMs whose remote names would be one, or a source that is not
    listed.
    """
    path = path or Path(os.environ.get(CATALOGUE_VARIABLE) or CATALOGUE)
    catalogue = validate(Catalogue, read_yaml(path), path.name)
    by_slug: dict[str, Nim] = {}
    for nim in catalogue.nims:
        if nim.slug in by_slug:
            raise ConfigError(
                f"{path.name}: `name` = {nim.name!r} and {by_slug[nim.slug].name!r} are both called "
                f"{nim.slug!r} in remote names; keep one of them"
            )
        by_slug[nim.slug] = nim
        for fact, letters in nim.sources.items():
            for letter in letters.split():
                if letter not in catalogue.sources:
                    raise ConfigError(
                        f"{path.name}: {nim.name}: `sources.{fact}` = {letter!r}: no such source; "
                        f"list it under `sources`, which has: {', '.join(catalogue.sources) or 'none'}"
                    )
    return catalogue


def load_catalogue(path: Path | None = None) -> dict[str, Nim]:
    """NIMs by name, with their prices; from the file that `read_catalogue` reads. Raises ConfigError."""
    prices = load_prices()
    return {nim.name: _priced(nim, prices) for nim in read_catalogue(path).nims}


def _priced(nim: Nim, prices: dict[str, list[Price]]) -> Nim:
    offers = prices.get(nim.name)
    if nim.price_per_million_tokens is not None or not offers:
        return nim
    return nim.model_copy(update={"price_per_million_tokens": offers[0]})


def select(catalogue: dict[str, Nim], names: list[str], wanted: NimType = NimType.LLM) -> list[Nim]:
    """The NIMs called `names`, in that order.

    Raises UnknownName that lists the known ones; ConfigError for a NIM of another type, one that is disabled,
    or one of which a fact that deploying needs is not known.
    """
    known = [name for name, nim in catalogue.items() if nim.type is wanted]
    for name in names:
        if name not in catalogue:
            raise UnknownName(
                f"`nims` names {name!r}, which the NIM catalogue does not know; "
                f"known are: {', '.join(sorted(known))}"
            )
        nim = catalogue[name]
        if nim.type is not wanted:
            raise ConfigError(
                f"`nims` names {name!r}: its `type` is {nim.type.value!r}, but this job evaluates NIMs of "
                f"type {wanted.value!r}; choose among: {', '.join(sorted(known))}"
            )
        if not nim.enabled:
            raise ConfigError(
                f"`nims` names {name!r}, which is disabled in the NIM catalogue; enable it "
                f"(`python -m include.cli.nims set {name} enabled=true`, or PUT /api/nims/{name}), or leave "
                "the NIM out"
            )
        if nim.unknown_to_deploy:
            raise ConfigError(
                f"`nims` names {name!r}, but the NIM catalogue does not know its "
                f"{', '.join(f'`{field}`' for field in nim.unknown_to_deploy)}, without which it cannot be "
                "deployed; complete its entry in include/flywheel/config/nims.yaml (or the file that "
                f"{CATALOGUE_VARIABLE} names), or leave the NIM out"
            )
    return [catalogue[name] for name in names]
