"""Profiles: named sets of NIMs, split, examples, training and gate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from include.flywheel.config.base import StrictModel, validate
from include.flywheel.config.inheritance import read_inherited
from include.flywheel.config.judge import JudgeConfig
from include.flywheel.config.lora_defaults import lora_defaults
from include.flywheel.datasets.embedding.config import TripletConfig
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import UnknownName
from include.flywheel.evaluation.gate import Gate

DIRECTORY = Path(__file__).parent / "profiles"
# Names a folder of profiles that is searched before our own, for example one that a deployment mounts.
DIRECTORY_VARIABLE = "FLYWHEEL_PROFILES"


class Lora(StrictModel):
    """Size of the adapter."""

    adapter_dim: int | None = Field(
        default=None, ge=1, description="Rank of the LoRA; a power of two. null: by the model's size."
    )
    adapter_dropout: float = Field(default=0.01, ge=0, lt=1)


class Training(StrictModel):
    """Hyperparameters of a customization job (supervised fine-tuning with LoRA)."""

    epochs: int | None = Field(default=None, ge=1, description="null: by the model's size.")
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float | None = Field(default=None, gt=0, description="null: by the model's size.")
    lora: Lora = Lora()

    def for_model(self, parameters: float) -> Self:
        """The same with nothing left open: what is null becomes the default of a model of that size."""
        sized = lora_defaults(parameters)
        lora = self.lora.model_copy(update={"adapter_dim": self.lora.adapter_dim or sized.adapter_dim})
        return self.model_copy(
            update={
                "epochs": self.epochs or sized.epochs,
                "learning_rate": self.learning_rate or sized.learning_rate,
                "lora": lora,
            }
        )


class Gpus(StrictModel):
    """The GPUs that all runs of one installation share."""

    total: int | None = Field(
        default=None, ge=1, description="NIMs and trainings wait until theirs are free; null: nothing waits."
    )


class Waiting(StrictModel):
    """How long a sensor waits for a remote job, and how often it asks."""

    poll_seconds: float = Field(default=15, gt=0, description="First pause; grows with backoff.")
    max_poll_seconds: float = Field(default=60, gt=0)
    lease_timeout_seconds: float = Field(default=24 * 3600, gt=0, description="For GPUs that others hold.")
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
    triplets: TripletConfig = TripletConfig()
    training: Training = Training()
    judge: JudgeConfig | None = Field(default=None, description="Grades the answers; null: nobody does.")
    gate: Gate = Gate()
    gpus: Gpus = Gpus()
    waiting: Waiting = Waiting()
    seed: int = Field(default=42, ge=0, description="Used where `data_split_config.random_seed` is null.")


def profile_files(directory: Path | None = None) -> dict[str, Path]:
    """Files of the known profiles by name: of `directory`, else of FLYWHEEL_PROFILES and then our own."""
    own = os.environ.get(DIRECTORY_VARIABLE)
    folders = [directory] if directory else [DIRECTORY, *([Path(own)] if own else [])]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def load_profile(name: str, directory: Path | None = None) -> Profile:
    """The profile `name`, with what it extends.

    Raises UnknownName that lists the known ones, ConfigError for a bad file or a bad `extends`.
    """
    files = profile_files(directory)
    if name not in files:
        raise UnknownName(f"`config_name` is {name!r}; known profiles are: {', '.join(sorted(files))}")
    merged, chain = read_inherited(name, files)
    parents = f" (extends {', '.join(chain[1:])})" if chain[1:] else ""
    return validate(Profile, merged, f"profiles/{name}.yaml{parents}")
