"""The conf of a run, and how conf, workload, profile and catalogue become one resolved configuration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from include.flywheel.config.base import StrictModel, validate
from include.flywheel.config.nims import Nim, load_catalogue, select
from include.flywheel.config.profile import Gpus, Profile, Training, Waiting, load_profile
from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import ConfigError
from include.flywheel.evaluation.gate import Gate


class RunConf(StrictModel):
    """What a person or a program says when starting a run."""

    client_id: str = Field(min_length=1, max_length=200, description="Whose traffic.")
    workload_id: str = Field(min_length=1, max_length=200, description="Which of the client's workloads.")
    job_type: Literal["llm_job"] = Field(default="llm_job", description="Kind of the candidate models.")
    config_name: str | None = Field(default=None, description="Profile; empty: the workload's own.")
    data_split_config: dict[str, Any] | None = Field(
        default=None,
        description="Overrides keys of the profile's split, other keys keep their values; for example "
        '`{"eval_size": 100, "val_ratio": 0.1, "limit": 1000, "random_seed": 7}`.',
    )
    nims: list[str] | None = Field(
        default=None, min_length=1, max_length=100, description="Candidates; empty: the profile's."
    )
    min_quality: float | None = Field(
        default=None, ge=0, le=1, description="Overrides the workload's `non_negotiable.min_quality`."
    )


class ResolvedConfig(StrictModel):
    """Everything that decides how a run goes; stored with it."""

    workload: Workload
    config_name: str
    job_type: str
    nims: list[Nim]
    split: SplitConfig
    icl: IclConfig
    training: Training
    gate: Gate
    gpus: Gpus
    waiting: Waiting
    seed: int

    def dataset_spec(self) -> DatasetSpec:
        """How the records become this run's dataset."""
        return DatasetSpec(
            split=self.split,
            strategy=self.workload.split.strategy,
            kind=self.workload.kind,
            stratify_by=self.workload.stratify_by,
            icl=self.icl,
            icl_contexts=tuple(sorted({nim.icl_context_tokens for nim in self.nims})),
            seed=self.seed,
        )


def resolve(conf: dict[str, Any], workload: Workload | None) -> ResolvedConfig:
    """The configuration of a run.

    `workload` is the DAG's own; None (the on-demand DAG): the configured one of that name, else one that is
    described by the conf alone.
    Raises ConfigError that names the field, the value and the remedy.
    """
    said = validate(RunConf, conf, "conf")
    if workload is None:
        workload = _configured(said) or Workload(client_id=said.client_id, workload_id=said.workload_id)
    _check_same_workload(said, workload)
    if said.min_quality is not None:
        changed = workload.non_negotiable.model_copy(update={"min_quality": said.min_quality})
        workload = workload.model_copy(update={"non_negotiable": changed})
    config_name = said.config_name or workload.profile
    profile = load_profile(config_name)
    split = _override_split(profile, said.data_split_config or {})
    nims = _distinct(select(load_catalogue(), said.nims or profile.nims))
    _check_budget(nims, profile.gpus.total, config_name)
    return ResolvedConfig(
        workload=workload,
        config_name=config_name,
        job_type=said.job_type,
        nims=nims,
        split=split,
        icl=profile.icl,
        training=profile.training,
        gate=profile.gate,
        gpus=profile.gpus,
        waiting=profile.waiting,
        seed=profile.seed if split.random_seed is None else split.random_seed,
    )


def _configured(said: RunConf) -> Workload | None:
    for workload in load_workloads():
        if (workload.client_id, workload.workload_id) == (said.client_id, said.workload_id):
            return workload
    return None


def _check_same_workload(said: RunConf, workload: Workload) -> None:
    for field in ("client_id", "workload_id"):
        mine, theirs = getattr(workload, field), getattr(said, field)
        if mine != theirs:
            raise ConfigError(
                f"`{field}` = {theirs!r}: this DAG turns the wheel for {mine!r} only; "
                "use the other workload's own DAG, or flywheel_on_demand"
            )


def _check_budget(nims: list[Nim], total: int | None, config_name: str) -> None:
    """A NIM that could never get its GPUs would wait until somebody notices: refuse it at once."""
    for nim in nims:
        training = nim.customization.num_gpus if nim.customization else 0
        for need, use in ((nim.gpus or 0, "its deployment"), (training, "its customization")):
            if total is not None and need > total:
                raise ConfigError(
                    f"`nims` names {nim.name!r}: {use} needs {need} GPUs, but `gpus.total` of the profile "
                    f"{config_name!r} is {total}; raise it, or leave the NIM out"
                )


def _override_split(profile: Profile, changes: dict[str, Any]) -> SplitConfig:
    return validate(SplitConfig, profile.split.model_dump() | changes, "conf.data_split_config")


def _distinct(nims: list[Nim]) -> list[Nim]:
    names = [nim.name for nim in nims]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"`nims` names {', '.join(twice)} more than once; name each NIM once")
    return nims
