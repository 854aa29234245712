"""Profiles: named sets of NIMs, split, examples, training and gate."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from include.flywheel.config.base import StrictModel, read_yaml, validate
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import UnknownName
from include.flywheel.evaluation.gate import Gate

DIRECTORY = Path(__file__).parent / "profiles"


class Lora(StrictModel):
    """Size of the adapter."""

    adapter_dim: int = Field(default=16, ge=1, description="Rank of the LoRA; a power of two.")
    adapter_dropout: float = Field(default=0.01, ge=0, lt=1)


class Training(StrictModel):
    """Hyperparameters of a customization job (supervised fine-tuning with LoRA)."""

    epochs: int = Field(default=2, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    lora: Lora = Lora()


class Waiting(StrictModel):
    """How long a sensor waits for a remote job, and how often it asks."""

    poll_seconds: float = Field(default=15, gt=0, description="First pause; grows with backoff.")
    max_poll_seconds: float = Field(default=60, gt=0)
    deploy_timeout_seconds: float = Field(default=3600, gt=0)
    evaluation_timeout_seconds: float = Field(default=4 * 3600, gt=0)
    customization_timeout_seconds: float = Field(default=12 * 3600, gt=0)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.poll_seconds > self.max_poll_seconds:
            raise ValueError(
                f"poll_seconds {self.poll_seconds:g} is above max_poll_seconds {self.max_poll_seconds:g}: "
                "lower the first or raise the second"
            )
        return self


class Profile(StrictModel):
    """What a run uses where its conf says nothing else."""

    description: str
    nims: list[str] = Field(min_length=1, max_length=100)
    split: SplitConfig = SplitConfig()
    icl: IclConfig = IclConfig()
    training: Training = Training()
    gate: Gate = Gate()
    waiting: Waiting = Waiting()
    seed: int = Field(default=42, ge=0, description="Used where `data_split_config.random_seed` is null.")


def load_profile(name: str, directory: Path = DIRECTORY) -> Profile:
    """The profile `name`. Raises UnknownName that lists the known ones, ConfigError for a bad file."""
    known = {path.stem: path for path in sorted(directory.glob("*.yaml"))}
    if name not in known:
        raise UnknownName(f"`config_name` is {name!r}; known profiles are: {', '.join(known)}")
    return validate(Profile, read_yaml(known[name]), f"profiles/{name}.yaml")
