"""What is asked of the GPUs, what waits, what is held, and the ledger that has it all."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class LeaseKind(StrEnum):
    """What the GPUs are for."""

    TRAINING = "training"
    SERVING = "serving"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LeaseRequest(_Model):
    """GPUs for one NIM of one run. A run, a NIM and a kind have one lease at most.

    `total` is the number of GPUs that the configuration of this run lets all runs have together.
    """

    job_id: str = Field(min_length=1)
    slug: str = Field(min_length=1)
    kind: LeaseKind
    gpus: int = Field(ge=1)
    total: int
    try_number: int = Field(ge=1)

    @property
    def nim(self) -> tuple[str, str]:
        """The run and the NIM."""
        return self.job_id, self.slug

    @property
    def key(self) -> tuple[str, str, LeaseKind]:
        """What there is one of."""
        return self.job_id, self.slug, self.kind


class Waiting(LeaseRequest):
    """A request that has its place in the line.

    `asked_at` is ISO 8601 in UTC, `order` counts requests from 0, `run_order` is that of the first request of
    the run, and `overtaken` counts the later requests that were granted first.
    """

    asked_at: str
    order: int
    run_order: int
    overtaken: int = 0


class Lease(Waiting):
    """GPUs that are held since `granted_at` (ISO 8601 in UTC)."""

    granted_at: str


class Closed(_Model):
    """A NIM that was taken down: what was asked by this try or an earlier one is refused.

    `at` is ISO 8601 in UTC.
    """

    job_id: str
    slug: str
    try_number: int
    at: str


class Ledger(_Model):
    """Everything that is known about the GPUs of one installation."""

    schema_version: int = 1
    next_order: int = 0
    leases: tuple[Lease, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    closed: tuple[Closed, ...] = ()

    @property
    def gpus_held(self) -> int:
        """GPUs that are held, by all runs together."""
        return sum(lease.gpus for lease in self.leases)


class LeaseAnswer(_Model):
    """The lease, or in words why there is none yet."""

    lease: Lease | None = None
    reason: str

    @property
    def granted(self) -> bool:
        """Whether the GPUs are held."""
        return self.lease is not None
