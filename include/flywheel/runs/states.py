"""The words for how far runs, NIMs and stages are (contract of the jobs API)."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """pending → running → completed | failed | cancelled."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self in {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}


class NimStatus(StrEnum):
    """pending → deploying-nim → running-evals → completed | failed | cancelled."""

    PENDING = "pending"
    DEPLOYING = "deploying-nim"
    RUNNING_EVALS = "running-evals"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self in {NimStatus.COMPLETED, NimStatus.FAILED, NimStatus.CANCELLED}


class StageName(StrEnum):
    """What happens to one NIM. The reference has the one stage of its own."""

    DEPLOY = "deploy"
    BASE_EVAL = "base_eval"
    ICL_EVAL = "icl_eval"
    CUSTOMIZE = "customize"
    ADAPTER = "adapter"
    CUSTOMIZED_EVAL = "customized_eval"
    REFERENCE_EVAL = "reference_eval"


class StepName(StrEnum):
    """What the run does once, before and after its NIMs."""

    PREPARE = "prepare"
    BUILD_DATASETS = "build_datasets"
    UPLOAD_DATASETS = "upload_datasets"
    DECIDE = "decide"
    RECORD_WINNERS = "record_winners"
    NOTIFY_APPLICATION = "notify_application"
    CLOSE_RUN = "close_run"


class StageStatus(StrEnum):
    """How far a stage is. `submitted` until the service has said anything about the job."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self not in {StageStatus.PENDING, StageStatus.SUBMITTED, StageStatus.RUNNING}


def may_follow(status: RunStatus | NimStatus) -> list[RunStatus | NimStatus]:
    """The live statuses that `status` may follow: those before it, and itself for a step that is repeated."""
    words: list[RunStatus | NimStatus] = list(type(status))
    return [word for word in words[: words.index(status) + 1] if not word.is_over]
