"""The conf of a run, and how conf, workload, profile and catalogue become one resolved configuration."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from include.flywheel.config.base import M, StrictModel, validate
from include.flywheel.config.inheritance import merge
from include.flywheel.config.judge import JudgeConfig, overridden
from include.flywheel.config.nims import Nim, NimType, load_catalogue, select
from include.flywheel.config.profile import Gpus, Profile, Training, Waiting, load_profile
from include.flywheel.config.workload import JobType, Workload, load_workloads
from include.flywheel.datasets.embedding.config import TripletConfig
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import ConfigError
from include.flywheel.evaluation.gate import Gate

_NIM_TYPES = {"llm_job": NimType.LLM, "embedding_job": NimType.EMBEDDING}
# Where neither conf nor workload names a profile: the workload's default has LLMs.
_EMBEDDING_PROFILE = "embedding"


class RunConf(StrictModel):
    """What a person or a program says when starting a run."""

    client_id: str = Field(min_length=1, max_length=200, description="Whose traffic.")
    workload_id: str = Field(min_length=1, max_length=200, description="Which of the client's workloads.")
    job_type: JobType | None = Field(
        default=None, description="Kind of the candidate models; empty: the workload's own, mostly llm_job."
    )
    config_name: str | None = Field(default=None, description="Profile; empty: the workload's own.")
    data_split_config: dict[str, Any] | None = Field(
        default=None,
        description="Overrides keys of the profile's split, other keys keep their values; for example "
        '`{"eval_size": 100, "val_ratio": 0.1, "limit": 1000, "random_seed": 7}`.',
    )
    icl: dict[str, Any] | None = Field(
        default=None,
        description="Overrides keys of the profile's examples, other keys keep their values; for example "
        '`{"max_examples": 5}`.',
    )
    training: dict[str, Any] | None = Field(
        default=None,
        description="Overrides keys of the profile's training, those of `lora` too, other keys keep their "
        'values; for example `{"epochs": 3, "lora": {"adapter_dim": 16}}`.',
    )
    judge: dict[str, Any] | None = Field(
        default=None,
        description="Overrides keys of the profile's judge, other keys keep their values; for example "
        '`{"type": "local", "model": "meta/llama-3.1-8b-instruct"}`; `{"type": "none"}`: nobody judges.',
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
    job_type: JobType
    nims: list[Nim]
    split: SplitConfig
    icl: IclConfig
    triplets: TripletConfig = TripletConfig()
    training: Training
    gate: Gate
    gpus: Gpus
    waiting: Waiting
    seed: int
    icl_nim: Nim | None = Field(
        default=None, description="The embedding model for examples, where the catalogue can deploy it."
    )
    judge: JudgeConfig | None = None
    judge_nim: Nim | None = Field(default=None, description="A local judge, as the catalogue knows it.")
    left_out: dict[str, str] = Field(
        default={}, description="NIMs of the profile that this run does without, and why."
    )

    @property
    def is_embedding(self) -> bool:
        """Whether the candidates are embedding models."""
        return self.job_type == "embedding_job"

    def dataset_spec(self) -> DatasetSpec:
        """How the records become this run's dataset."""
        return DatasetSpec(
            split=self.split,
            strategy=self.workload.split.strategy,
            kind=self.workload.kind,
            stratify_by=self.workload.stratify_by,
            icl=self.icl,
            icl_contexts=tuple(sorted({nim.icl_context_tokens for nim in self.nims})),
            triplets=self.triplets,
            seed=self.seed,
        )


def resolve(
    conf: dict[str, Any], workload: Workload | None, catalogue: dict[str, Nim] | None = None
) -> ResolvedConfig:
    """The configuration of a run.

    `workload` is the DAG's own; None (the on-demand DAG): the configured one of that name, else one that is
    described by the conf alone. `catalogue`: the NIMs as administrators have changed them; None: as the file
    says.
    Raises ConfigError that names the field, the value and the remedy.
    """
    said = validate(RunConf, conf, "conf")
    if workload is None:
        workload = _configured(said) or Workload(client_id=said.client_id, workload_id=said.workload_id)
    _check_same_workload(said, workload)
    if said.min_quality is not None:
        changed = workload.non_negotiable.model_copy(update={"min_quality": said.min_quality})
        workload = workload.model_copy(update={"non_negotiable": changed})
    job_type = said.job_type or workload.job_type
    config_name = said.config_name or _default_profile(job_type, workload)
    profile = load_profile(config_name)
    split = _override(profile.split, said.data_split_config, "data_split_config")
    catalogue = load_catalogue() if catalogue is None else catalogue
    left_out = {} if said.nims else _disabled(profile, catalogue, config_name)
    chosen = said.nims or [name for name in profile.nims if name not in left_out]
    nims = _distinct(_of_type(catalogue, chosen, job_type, config_name))
    _check_budget(nims, profile.gpus.total, config_name)
    icl = _override(profile.icl, said.icl, "icl")
    judge = overridden(profile.judge, said.judge)
    return ResolvedConfig(
        workload=workload,
        config_name=config_name,
        job_type=job_type,
        nims=nims,
        split=split,
        icl=icl,
        icl_nim=_icl_nim(icl, catalogue, profile.gpus.total),
        triplets=profile.triplets,
        training=_override(profile.training, said.training, "training"),
        gate=profile.gate,
        gpus=profile.gpus,
        waiting=profile.waiting,
        seed=profile.seed if split.random_seed is None else split.random_seed,
        judge=judge,
        judge_nim=_judge_nim(judge, catalogue, profile.gpus.total),
        left_out=left_out,
    )


def _default_profile(job_type: JobType, workload: Workload) -> str:
    if job_type == "embedding_job" and "profile" not in workload.model_fields_set:
        return _EMBEDDING_PROFILE
    return workload.profile


def _of_type(catalogue: dict[str, Nim], names: list[str], job_type: JobType, config_name: str) -> list[Nim]:
    """The NIMs of these names; all must be of the type that the job evaluates."""
    try:
        return select(catalogue, names, _NIM_TYPES[job_type])
    except ConfigError as error:
        known = [catalogue[name] for name in names if name in catalogue]
        if all(nim.type is _NIM_TYPES[job_type] for nim in known):
            raise
        raise ConfigError(
            f"{error}; or correct `job_type` = {job_type!r}, or `config_name` = {config_name!r}"
        ) from None


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


def _override(of_profile: M, changes: dict[str, Any] | None, field: str) -> M:
    """`changes` over what the profile says, key by key at every depth."""
    return validate(type(of_profile), merge(of_profile.model_dump(), changes or {}), f"conf.{field}")


def _icl_nim(icl: IclConfig, catalogue: dict[str, Nim], total: int | None) -> Nim | None:
    """What the catalogue knows of the embedding model for examples; None where somebody else must serve it.

    Raises ConfigError for a model of another type, or one that needs more GPUs than there are.
    """
    nim = None if icl.embedding is None else catalogue.get(icl.embedding.model)
    if nim is None:
        return None
    if nim.type is not NimType.EMBEDDING:
        known = sorted(name for name, one in catalogue.items() if one.type is NimType.EMBEDDING)
        raise ConfigError(
            f"`icl.embedding.model` = {nim.name!r}: its `type` is {nim.type.value!r}; choose among: "
            f"{', '.join(known)}"
        )
    if nim.unknown_to_deploy or not nim.enabled:
        return None
    if total is not None and (nim.gpus or 0) > total:
        raise ConfigError(
            f"`icl.embedding.model` = {nim.name!r}: its deployment needs {nim.gpus} GPUs, but `gpus.total` "
            f"is {total}; choose a smaller one, or raise it"
        )
    return nim


def _judge_nim(judge: JudgeConfig | None, catalogue: dict[str, Nim], total: int | None) -> Nim | None:
    """What the catalogue knows of a local judge. Raises ConfigError where it could never be deployed."""
    if judge is None or judge.type != "local":
        return None
    try:
        [nim] = select(catalogue, [judge.model])
    except ConfigError as error:
        raise ConfigError(f"`judge.model` = {judge.model!r}: {error}") from None
    if total is not None and (nim.gpus or 0) > total:
        raise ConfigError(
            f"`judge.model` = {judge.model!r}: its deployment needs {nim.gpus} GPUs, but `gpus.total` is "
            f"{total}; choose a smaller judge, or raise it"
        )
    return nim


def _disabled(profile: Profile, catalogue: dict[str, Nim], config_name: str) -> dict[str, str]:
    """The profile's NIMs that an administrator has disabled. Raises ConfigError where none is left."""
    off = [name for name in profile.nims if name in catalogue and not catalogue[name].enabled]
    if len(off) == len(profile.nims):
        raise ConfigError(
            f"`config_name` is {config_name!r}, but every NIM of that profile is disabled in the NIM "
            f"catalogue: {', '.join(off)}; enable one (`python -m include.cli.nims set {off[0]} "
            "enabled=true`), or name others in `nims`"
        )
    return dict.fromkeys(off, "disabled in the NIM catalogue")


def _distinct(nims: list[Nim]) -> list[Nim]:
    names = [nim.name for nim in nims]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"`nims` names {', '.join(twice)} more than once; name each NIM once")
    return nims
