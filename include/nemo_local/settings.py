"""Settings of one stand-in server."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from include.nemo_local.engines import EngineName


class Settings(BaseModel):
    """What a server is started with. The durations are simulated minima: real computing comes on top."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Field(description="Folder of all state; created if missing")
    gpus: int = Field(default=8, ge=0, description="GPUs that deployments and training share")
    deploy_seconds: float = Field(default=1.5, ge=0)
    evaluation_seconds: float = Field(default=1.0, ge=0)
    training_seconds: float = Field(default=1.5, ge=0)
    adapter_listing_seconds: float = Field(
        default=0.3, ge=0, description="From a training's completion until the NIM proxy lists its adapter"
    )
    engine: EngineName = Field(default="classic", description="Which kind of models answers and is trained")
    seed: int = Field(default=0, description="Training seed of jobs that name none")
