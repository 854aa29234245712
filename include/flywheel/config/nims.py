"""The NIM catalogue: facts about each candidate model, from `nims.yaml`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from include.flywheel.config.base import StrictModel, read_yaml, validate
from include.flywheel.errors import ConfigError, UnknownName

CATALOGUE = Path(__file__).parent / "nims.yaml"


class Customization(StrictModel):
    """How the Customizer trains a LoRA of this NIM."""

    target: str = Field(description="Customization target, `namespace/name@version`.")
    num_gpus: int = Field(ge=1, description="GPUs that a training job holds.")
    max_seq_length: int = Field(ge=1, description="Longest training row, in tokens.")
    micro_batch_size: int = Field(default=1, ge=1)
    tensor_parallel_size: int = Field(default=1, ge=1)
    training_precision: str = "bf16-mixed"


class Price(StrictModel):
    """USD for a million tokens, at one seller on one day."""

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)
    source: str


class Nim(StrictModel):
    """One NIM that can be deployed and evaluated."""

    name: str = Field(description="Model name in API calls.")
    image_name: str
    image_tag: str
    parameters: float = Field(gt=0, description="Number of parameters.")
    gpus: int = Field(ge=1, description="GPUs (80 GB class) that a deployment holds.")
    context_tokens: int = Field(ge=1)
    customization: Customization | None = Field(
        default=None, description="None: evaluated as it is and with examples, never customized."
    )
    price_per_million_tokens: Price | None = None

    @property
    def slug(self) -> str:
        """The name within the alphabet of remote names, e.g. `meta-llama-3.2-1b-instruct`."""
        return self.name.replace("/", "-")


class _Catalogue(StrictModel):
    nims: list[Nim]


def load_catalogue(path: Path = CATALOGUE) -> dict[str, Nim]:
    """NIMs by name. Raises ConfigError for a bad file, or two NIMs whose remote names would be one."""
    catalogue = validate(_Catalogue, read_yaml(path), path.name)
    by_slug: dict[str, Nim] = {}
    for nim in catalogue.nims:
        if nim.slug in by_slug:
            raise ConfigError(
                f"{path.name}: `name` = {nim.name!r} and {by_slug[nim.slug].name!r} are both called "
                f"{nim.slug!r} in remote names; keep one of them"
            )
        by_slug[nim.slug] = nim
    return {nim.name: nim for nim in catalogue.nims}


def select(catalogue: dict[str, Nim], names: list[str]) -> list[Nim]:
    """The NIMs called `names`, in that order. Raises UnknownName that lists the known ones."""
    for name in names:
        if name not in catalogue:
            raise UnknownName(
                f"`nims` names {name!r}, which the NIM catalogue does not know; "
                f"known are: {', '.join(sorted(catalogue))}"
            )
    return [catalogue[name] for name in names]
