"""What is written down about a run: one document for the run, one for each of its NIMs.

Times are UTC, ISO 8601 with milliseconds. Scores are 0 to 1. docs/run_document.md is made from these models.
"""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from include.flywheel.config.workload import dag_id_of
from include.flywheel.runs.document_parts import Deletion, Document, LeaseTimes, Stage, StepTimes, now
from include.flywheel.runs.ids import sort_key
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StepName

__all__ = [
    "AS_TEXT",
    "SCHEMA_VERSION",
    "Deletion",
    "Document",
    "JudgeDocument",
    "LeaseTimes",
    "NimDocument",
    "Reference",
    "RunDocument",
    "Stage",
    "StepTimes",
    "now",
]

SCHEMA_VERSION = 2

# Of a run; stored as JSON text. They are large and read as a whole: a list of runs need not decode them.
AS_TEXT = ("resolved", "dataset", "decision")

_TIME = "2026-03-02T09:30:00.000+00:00"
_LATER = "2026-03-02T09:42:10.250+00:00"
_JOB = "f111f163e7cf36d048111bc4"


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
        description="Name under which the proxy serves the trained adapter. An embedding model, which is "
        "trained whole, is deployed by this name and served by the part before `@`.",
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


class JudgeDocument(Document):
    """Who grades the answers of a run, and what came of it."""

    model: str = Field(description="Its name in API calls.", examples=["meta/llama-3.1-8b-instruct"])
    type: str = Field(description="`local` (deployed for it) or `remote`.", examples=["local"])
    deployment_status: str | None = Field(
        default=None,
        description="Of a local judge: created, pending, running, ready, failed, cancelled or completed "
        "(taken down, or left to other runs). null: nothing is deployed for it.",
        examples=["ready"],
    )
    deployment: str | None = Field(
        default=None,
        description="Name of the deployment, which runs share.",
        examples=["fw-judge-meta-llama-3-1-8b-instruct-1"],
    )
    prompt_version: str = Field(description="Version of what it is asked.", examples=["1"])
    prompt_digest: str = Field(description="SHA-256 of what stands in every prompt.", examples=["9b74c989…"])
    counts: dict[str, int] = Field(
        default={},
        description="Over all stages: answers `judged` and `unjudged` (those also by reason, "
        "`unjudged_unparsable` and so on), `requests`, of these `retries`.",
        examples=[{"judged": 600, "requests": 604, "retries": 4, "unjudged": 0}],
    )
    error: str | None = Field(
        default=None,
        description="Why some or all stages have no score of the judge.",
        examples=["the judge … was not reached"],
    )


class EmbeddingDocument(Document):
    """By what the examples of a run were called like its items."""

    model: str = Field(
        description="The embedding model that was configured.", examples=["nvidia/nv-embedqa-e5-v5"]
    )
    method: str | None = Field(
        default=None,
        description="What was used; null: no examples were chosen yet.",
        examples=["embeddings of nvidia/nv-embedqa-e5-v5"],
    )
    deployment_status: str | None = Field(
        default=None,
        description="created, pending, running, ready, failed, cancelled or completed (taken down, or left "
        "to other runs). null: nothing is deployed for it.",
        examples=["completed"],
    )
    deployment: str | None = Field(
        default=None,
        description="Name of the deployment, which runs share.",
        examples=["fw-embedding-nvidia-nv-embedqa-e5-v5-1"],
    )
    error: str | None = Field(
        default=None, description="Why another method was used.", examples=["the NIM proxy does not list …"]
    )


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
    workload_dag_id: str = Field(
        default="",
        description="Id that the workload's own DAG has, or would have: who may see that may see the run.",
        examples=["flywheel__acme__desk"],
    )
    sort_key: str = Field(
        default="",
        description="`created_at` in digits, and the job id: the order of lists, distinct for each run.",
        examples=[f"20260302093000000-{_JOB}"],
    )
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
    embedding: EmbeddingDocument | None = Field(
        default=None,
        description="The embedding model for examples; null: none is configured.",
        examples=[None],
    )
    judge: JudgeDocument | None = Field(
        default=None, description="Who grades the answers; null: nobody.", examples=[None]
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
    notifiers: dict[str, dict[str, Any]] = Field(
        default={},
        description="By connection, the `Delivery` of whoever else the workload has told.",
        examples=[{}],
    )
    deletion: Deletion | None = Field(
        default=None, description="null: nobody asked for its removal.", examples=[None]
    )
    error: str | None = Field(
        default=None, description="The first reason why it failed, with the remedy.", examples=["`nims` …"]
    )
    events: list[str] = Field(
        default=[],
        description="What happened: `<time> <words>`, oldest first.",
        examples=[[f"{_TIME} cancel asked"]],
    )

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        """To whom its end was told, and how that went: the application first."""
        return [*([self.notification] if self.notification else []), *self.notifiers.values()]

    @field_validator(*AS_TEXT, mode="before")
    @classmethod
    def from_text(cls, value: Any) -> Any:
        """The value of a field that is stored as JSON text."""
        return json.loads(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _derive(self) -> Self:
        self.workload_dag_id = self.workload_dag_id or dag_id_of(self.client_id, self.workload_id)
        self.sort_key = self.sort_key or sort_key(self.created_at, self.job_id)
        return self
