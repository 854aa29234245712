"""Workloads: what an application asks its model to do, and how good a cheaper one must be."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import Field

from include.flywheel.config.base import StrictModel, read_yaml, validate
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.split import Strategy
from include.flywheel.errors import ConfigError

DIRECTORY = Path(__file__).parent / "workloads"
# Names another folder of workload files, for example one that a deployment mounts.
DIRECTORY_VARIABLE = "FLYWHEEL_WORKLOADS"
# Airflow's rule for DAG ids, less the dots that group ids use.
_NOT_IN_DAG_ID = re.compile(r"[^A-Za-z0-9_-]")
_MAX_DAG_ID = 250


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
    owner: str = Field(default="flywheel", min_length=1, description="Who is asked when a run fails.")
    schedule: str | None = Field(default=None, description="Cron expression (UTC); none: on demand only.")
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
    bar: Bar = Bar()
    non_negotiable: NonNegotiable = NonNegotiable()
    logs_conn_id: str = "flywheel_logs"
    application_conn_id: str = "application"

    @property
    def dag_id(self) -> str:
        """Id of the DAG of this workload, within Airflow's alphabet."""
        return f"flywheel__{_dag_id_part(self.client_id)}__{_dag_id_part(self.workload_id)}"


def _dag_id_part(text: str) -> str:
    """`text` as it stands in a DAG id: characters that Airflow refuses become `-`."""
    return _NOT_IN_DAG_ID.sub("-", text)


def load_workloads(directory: Path | None = None) -> list[Workload]:
    """Every configured workload, by file name; from the folder that FLYWHEEL_WORKLOADS names, else our own.

    Raises ConfigError for a bad file, and for a DAG id that is too long or taken twice.
    """
    directory = directory or Path(os.environ.get(DIRECTORY_VARIABLE) or DIRECTORY)
    workloads: dict[str, Workload] = {}
    for path in sorted(directory.glob("*.yaml")):
        workload = validate(Workload, read_yaml(path), f"workloads/{path.name}")
        if len(workload.dag_id) > _MAX_DAG_ID:
            raise ConfigError(
                f"workloads/{path.name}: the DAG id {workload.dag_id!r} has {len(workload.dag_id)} "
                f"characters, Airflow allows {_MAX_DAG_ID}; shorten `client_id` or `workload_id`"
            )
        if workload.dag_id in workloads:
            raise ConfigError(
                f"workloads/{path.name}: the DAG id {workload.dag_id!r} belongs to another workload already; "
                "rename `client_id` or `workload_id`"
            )
        workloads[workload.dag_id] = workload
    return list(workloads.values())
