"""What is written down about a run: one document for the run, one for each of its NIMs.

Times are UTC, ISO 8601 with milliseconds. Scores are 0 to 1. docs/run_document.md is made from these models.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus, StepName

SCHEMA_VERSION = 1

_TIME = "2026-03-02T09:30:00.000+00:00"
_LATER = "2026-03-02T09:42:10.250+00:00"
_JOB = "f111f163e7cf36d048111bc4"


def now() -> str:
    """This moment, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Document(BaseModel):
    """Refuses fields that the schema does not know."""

    model_config = ConfigDict(extra="forbid")


class Stage(Document):
    """One stage of one NIM, or of the reference.

    `attempt` is raised, by compare-and-set, only when the remote job found had failed or was cancelled.
    """

    status: StageStatus = Field(
        default=StageStatus.PENDING, description="How far it is.", examples=["running"]
    )
    attempt: int = Field(default=1, description="The remote job's number, from 1.", examples=[1])
    remote_id: str | None = Field(
        default=None,
        description="Name of what NeMo made for it: a job id, or `namespace/name` of a deployment.",
        examples=["eval-7Gq2"],
    )
    remote_uri: str | None = Field(
        default=None, description="Where NeMo tells of it.", examples=["/v1/evaluation/jobs/eval-7Gq2"]
    )
    detail: str | None = Field(
        default=None,
        description="What the service says, e.g. why a job is pending; or why the stage did not run.",
        examples=["waiting for a node"],
    )
    progress_percent: float | None = Field(
        default=None, description="As the service reports it, 0 to 100.", examples=[62.5]
    )
    submitted_at: str | None = Field(
        default=None, description="When the service had accepted it.", examples=[_TIME]
    )
    started_at: str | None = Field(
        default=None, description="When the service was first seen at work on it.", examples=[_TIME]
    )
    finished_at: str | None = Field(default=None, description="When its end was seen.", examples=[_LATER])
    scores: dict[str, float] = Field(
        default={}, description="Means over the items, by score.", examples=[{"function_name": 0.93}]
    )
    items: int | None = Field(default=None, description="Items that were scored.", examples=[100])
    error: str | None = Field(
        default=None, description="Why it failed, with the remedy.", examples=["401 from the proxy: …"]
    )


class LeaseTimes(Document):
    """When a NIM asked for GPUs, got them and gave them back. Without a GPU budget there is none."""

    gpus: int = Field(description="How many GPUs.", examples=[2])
    asked_at: str = Field(description="When it got its place in the line.", examples=[_TIME])
    granted_at: str | None = Field(default=None, description="When it got the GPUs.", examples=[_LATER])
    released_at: str | None = Field(
        default=None, description="When it gave them back, or left the line.", examples=[_LATER]
    )
    detail: str | None = Field(
        default=None, description="Why it waits.", examples=["0 of 4 GPUs are free, needs 2"]
    )

    def waited_seconds(self, until: str) -> float:
        """Seconds between the question and the GPUs, or the end of waiting, at the latest `until`."""
        end = self.granted_at or self.released_at or until
        waited = datetime.fromisoformat(end) - datetime.fromisoformat(self.asked_at)
        return max(waited.total_seconds(), 0.0)


class NimDocument(Document):
    """One NIM in one run.

    A pass is what Airflow runs between two clears of the run's tasks: 0 at first, one more after each.
    """

    job_id: str = Field(description="The run.", examples=[_JOB])
    nim: str = Field(description="Model name in API calls.", examples=["meta/llama-3.2-1b-instruct"])
    slug: str = Field(
        description="The name within the alphabet of remote names.", examples=["meta-llama-3.2-1b-instruct"]
    )
    order: int = Field(description="Position in the run's configuration, from 0.", examples=[0])
    status: NimStatus = Field(
        default=NimStatus.PENDING, description="How far it is.", examples=["running-evals"]
    )
    stages: dict[StageName, Stage] = Field(
        default={}, description="By stage; one that nothing is known of is absent.", examples=[{"deploy": {}}]
    )
    leases: dict[str, LeaseTimes] = Field(
        default={}, description="By kind: `training`, `serving`. Those of this pass.", examples=[{}]
    )
    customized_model: str | None = Field(
        default=None,
        description="Name under which the proxy serves the trained adapter.",
        examples=[f"default/fw-{_JOB}-meta-llama-3.2-1b-instruct-1"],
    )
    customized_model_uri: str | None = Field(
        default=None,
        description="Where the adapter's files are.",
        examples=[f"hf://models/default/fw-{_JOB}-meta-llama-3.2-1b-instruct-1"],
    )
    pass_number: int = Field(default=0, description="The pass that it is in.", examples=[0])
    closed_pass: int = Field(
        default=-1,
        description="The pass in which the NIM was last taken down; a submit of it, or of an earlier one, "
        "that reads this cancels its job.",
        examples=[-1],
    )
    error: str | None = Field(
        default=None, description="Why it failed, stage by stage.", examples=["customize: out of memory"]
    )
    undeployed_at: str | None = Field(
        default=None, description="When nothing of it ran any more.", examples=[_LATER]
    )


class Reference(Document):
    """The production model, asked again."""

    model: str = Field(description="Its name in API calls.", examples=["acme/support-agent"])
    stage: Stage = Field(default=Stage(), description="Its evaluation.", examples=[{}])


class StepTimes(Document):
    """When one of the run's own steps was at work: the last time that it had something to do."""

    started_at: str = Field(description="When it began.", examples=[_TIME])
    finished_at: str | None = Field(default=None, description="When it was done.", examples=[_LATER])


class RunDocument(Document):
    """One turn of the wheel."""

    schema_version: int = Field(
        default=SCHEMA_VERSION,
        description="Raised where a reader of the version before would misunderstand.",
        examples=[SCHEMA_VERSION],
    )
    job_id: str = Field(
        description="First 24 hexadecimal characters of SHA-256 of `dag_id/run_id`.", examples=[_JOB]
    )
    dag_id: str = Field(description="The DAG.", examples=["flywheel__acme__desk"])
    run_id: str = Field(description="Airflow's id of the DAG run.", examples=["manual__1"])
    client_id: str = Field(description="Whose traffic.", examples=["acme"])
    workload_id: str = Field(description="Which of the client's workloads.", examples=["desk"])
    status: RunStatus = Field(default=RunStatus.PENDING, description="How far it is.", examples=["running"])
    pass_number: int = Field(
        default=0, description="How often tasks of the run were cleared in Airflow.", examples=[0]
    )
    conf: dict[str, Any] = Field(
        default={}, description="What was asked, as it came.", examples=[{"client_id": "acme"}]
    )
    resolved: dict[str, Any] | None = Field(
        default=None,
        description="Everything that decides how the run goes: `ResolvedConfig` with workload, NIMs, split, "
        "gate and `seed`. null: the conf was not accepted yet.",
        examples=[{"seed": 42}],
    )
    versions: dict[str, str] = Field(
        default={}, description="Of the packages that results depend on.", examples=[{"numpy": "2.3.5"}]
    )
    digests: dict[str, str] = Field(
        default={},
        description="SHA-256 of canonical JSON: `config`, `scores` (all per-item scores), `decision`. Equal "
        "digests: the same input and the same result. The data set's own digest is in `dataset`.",
        examples=[{"scores": "9b74c989…"}],
    )
    simulated: bool | None = Field(
        default=None, description="Whether the local stand-in took NeMo's place.", examples=[True]
    )
    created_at: str = Field(description="When the document was opened.", examples=[_TIME])
    started_at: str | None = Field(default=None, description="When the conf was accepted.", examples=[_TIME])
    finished_at: str | None = Field(default=None, description="When it was over.", examples=[_LATER])
    cancel_requested_at: str | None = Field(
        default=None, description="When somebody asked for its end.", examples=[_LATER]
    )
    everything_down_at: str | None = Field(
        default=None,
        description="When nothing of it ran any more: no job, no deployment, no lease.",
        examples=[_LATER],
    )
    steps: dict[StepName, StepTimes] = Field(
        default={}, description="When the run's own steps were at work.", examples=[{"build_datasets": {}}]
    )
    dataset: dict[str, Any] | None = Field(
        default=None,
        description="`DatasetReport`: ledger, files with their digests, what is in each set.",
        examples=[{"digest": "9b74c989…"}],
    )
    dataset_uri: str | None = Field(
        default=None,
        description="The data set in the Data Store; null until all of it is there.",
        examples=[f"hf://datasets/default/fw-{_JOB}"],
    )
    reference: Reference | None = Field(
        default=None, description="The production model; null: it cannot be asked.", examples=[{}]
    )
    decision: dict[str, Any] | None = Field(
        default=None,
        description="`Decision`: bar, verdict of each candidate with its reason and intervals, winner.",
        examples=[{"verdict": "PROMOTABLE"}],
    )
    winners: list[dict[str, Any]] = Field(
        default=[], description="The chosen candidate, if any: `Winner`.", examples=[[]]
    )
    notification: dict[str, Any] | None = Field(
        default=None,
        description="`Delivery`: what the application was told, and whether it heard.",
        examples=[{"delivered": True}],
    )
    error: str | None = Field(
        default=None, description="The first reason why it failed, with the remedy.", examples=["`nims` …"]
    )
    events: list[str] = Field(
        default=[],
        description="What happened: `<time> <words>`, oldest first.",
        examples=[[f"{_TIME} cancel asked"]],
    )
