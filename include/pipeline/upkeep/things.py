"""What carries the name of a run, and where a run's name stands in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from include.flywheel.runs import ids

_JOB_ID = re.compile(r"[0-9a-f]{24}")


class Kind(StrEnum):
    """The kinds of things that a run leaves behind, and the kinds that only grow old."""

    DEPLOYMENT = "deployment"
    EVALUATION = "evaluation"
    CUSTOMIZATION = "customization"
    LEASE = "lease"
    SHARED = "shared"
    STAGING = "staging"
    DATASET = "dataset"
    RUN = "run"
    LOGS = "logs"
    FEEDBACK = "feedback"
    REPORT = "report"
    IDEMPOTENCY_KEY = "idempotency key"

    @property
    def costs(self) -> bool:
        """Whether it holds GPUs."""
        return self in {Kind.DEPLOYMENT, Kind.EVALUATION, Kind.CUSTOMIZATION, Kind.LEASE, Kind.SHARED}


@dataclass(frozen=True)
class Thing:
    """One thing that carries a run. `born` is None where its keeper does not say."""

    kind: Kind
    name: str
    job_id: str
    born: datetime | None

    def age_seconds(self, at: datetime) -> float | None:
        """How old it is; never negative, for clocks differ."""
        return None if self.born is None else max(0.0, (at - self.born).total_seconds())


def job_of_project(project: str | None) -> str | None:
    """The run that a project of ours stands for; None for a project of somebody else."""
    return _stripped(project, ids.project(""))


def job_of_dataset(name: str | None) -> str | None:
    """The run that a data set of ours belongs to; None for one of somebody else."""
    return _stripped(name, ids.dataset(""))


def job_of_folder(name: str) -> str | None:
    """The run whose staging folder has this name; None for anything else."""
    return name if _JOB_ID.fullmatch(name) else None


def is_our_deployment(name: str | None, job_id: str) -> bool:
    """Whether a deployment with the run's project has a name that we give as well."""
    return name is not None and name.startswith(f"fw-{job_id[:8]}-")


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time, in UTC where it has no zone; None for anything else."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def by_run(things: Iterable[Thing]) -> dict[str, list[Thing]]:
    """The things by job id."""
    grouped: dict[str, list[Thing]] = defaultdict(list)
    for thing in things:
        grouped[thing.job_id].append(thing)
    return dict(grouped)


def _stripped(name: str | None, prefix: str) -> str | None:
    if name is None or not name.startswith(prefix):
        return None
    return job_of_folder(name.removeprefix(prefix))
