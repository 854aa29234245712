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
