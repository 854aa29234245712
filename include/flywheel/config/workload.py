"""Workloads: what an application asks its model to do, and how good a cheaper one must be."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from include.flywheel.config.base import StrictModel, read_yaml, validate
from include.flywheel.datasets.feedback.use import WorkloadFeedback
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.split import Strategy
from include.flywheel.errors import ConfigError

DIRECTORY = Path(__file__).parent / "workloads"
# Names another folder of workload files, for example one that a deployment mounts.
DIRECTORY_VARIABLE = "FLYWHEEL_WORKLOADS"
# A name that stands in a DAG id as it is: Airflow takes every character, and no two names side by side can be
# read as two others.
_PLAIN = re.compile(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9-]")
_MAX_DAG_ID = 250


class Sensitivity(StrEnum):
    """Who may read the workload's records."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


JobType = Literal["llm_job", "embedding_job"]


class Bar(StrictModel):
    """What a candidate is compared with."""

    production_model: str | None = Field(
        default=None,
        description="Model name of the production model on the NIM proxy. Where it is listed there, it "
        "answers the holdout again and its score is the bar.",
    )


class NonNegotiable(StrictModel):
    """Limits of the product that no saving outweighs."""

    min_quality: float | None = Field(
        default=None, ge=0, le=1, description="Lowest primary score that the product accepts, 0 to 1."
    )


class WorkloadSplit(StrictModel):
    """How this workload's records become sets; sizes are the profile's."""

    strategy: Strategy = Field(
        default=Strategy.STRATIFIED,
        description="`stratified`: at random by the seed, each label with its share. `temporal`: the newest "
        "conversations evaluate, the oldest train.",
    )


class Workload(StrictModel):
    """One workload of one client: the unit for which a flywheel runs."""

    client_id: str = Field(min_length=1, max_length=200)
    workload_id: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", description="What the application does with the answers.")
    user_intent: str = Field(default="", description="What its users want of the application.")
    owner: str = Field(default="flywheel", min_length=1, description="Who is asked when a run fails.")
    reviewers: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[], max_length=100, description="Who knows whether an answer is right. Shown, not enforced."
    )
    sensitivity: Sensitivity | None = Field(
        default=None,
        description="Of its records: `public`, `internal`, `confidential` or `restricted`. Shown, not "
        "enforced.",
    )
    schedule: str | None = Field(default=None, description="Cron expression (UTC); none: on demand only.")
    job_type: JobType = Field(
        default="llm_job", description="Kind of the candidates: models that answer, or embedding models."
    )
    profile: str = Field(default="laptop", description="Profile used where the conf names none.")
    kind: Kind | None = Field(
        default=None, description="What the model is asked for; none: found by the shares of the records."
    )
    stratify_by: str | None = Field(
        default=None,
        min_length=1,
        description="`tool`, `label`, `intent` (the field `description`) or another top-level field of the "
        "log records; none: what suits the kind.",
    )
    split: WorkloadSplit = WorkloadSplit()
    feedback: WorkloadFeedback = WorkloadFeedback()
    bar: Bar = Bar()
    non_negotiable: NonNegotiable = NonNegotiable()
    logs_conn_id: str = "flywheel_logs"
    application_conn_id: str = "application"
    notifiers: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        max_length=10,
        description="Connections of webhooks that are told of a run's end too, in the application's words.",
    )

    @property
    def dag_id(self) -> str:
        """Id of the DAG of this workload, within Airflow's alphabet."""
        return dag_id_of(self.client_id, self.workload_id)


def dag_id_of(client_id: str, workload_id: str) -> str:
    """Id of the DAG that a workload has, or would have if it were configured.

    Two workloads never have the same: who may see that DAG may see the workload's runs.
    """
    return f"flywheel__{_dag_id_part(client_id)}__{_dag_id_part(workload_id)}"


def _dag_id_part(text: str) -> str:
    """`text` as it stands in a DAG id; where it cannot, with a digest behind a dot: no plain name has one."""
    if _PLAIN.fullmatch(text):
        return text
    return f"{_NOT_PLAIN.sub('-', text)}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def load_workloads(directory: Path | None = None) -> list[Workload]:
    """Every configured workload, by file name; from the folder that FLYWHEEL_WORKLOADS names, else our own.

    Raises ConfigError for a bad file, and for a DAG id that is too long or taken twice.
    """
    directory = directory or Path(os.environ.get(DIRECTORY_VARIABLE) or DIRECTORY)
    workloads: dict[str, Workload] = {}
    for path in sorted(directory.glob("*.yaml")):
        workload = validate(Workload, read_yaml(path), f"workloads/{path.name}")
        check_dag_id(workload, workloads, f"workloads/{path.name}")
        workloads[workload.dag_id] = workload
    return list(workloads.values())


def check_dag_id(workload: Workload, taken: Collection[str], source: str) -> None:
    """Raises ConfigError where Airflow takes no DAG of the workload's id, or another one has it."""
    if len(workload.dag_id) > _MAX_DAG_ID:
        raise ConfigError(
            f"{source}: the DAG id {workload.dag_id!r} has {len(workload.dag_id)} "
            f"characters, Airflow allows {_MAX_DAG_ID}; shorten `client_id` or `workload_id`"
        )
    if workload.dag_id in taken:
        raise ConfigError(
            f"{source}: workload {workload.workload_id!r} of client {workload.client_id!r} stands in another "
            f"file already (DAG id {workload.dag_id!r}); remove one of the two"
        )
