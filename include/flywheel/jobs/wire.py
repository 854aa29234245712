"""What goes over the wire of the jobs API. Its OpenAPI is made from these models."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.runs.states import NimStatus, RunStatus

_JOB = "f111f163e7cf36d048111bc4"
_NIM = "meta/llama-3.2-1b-instruct"
_TIME = "2026-03-02T09:30:00Z"
_LATER = "2026-03-02T09:42:10.250000Z"

Progress = Annotated[float, Field(ge=0, le=100, description="Percent.", examples=[62.5])]
Seconds = Annotated[float, Field(ge=0, description="So far, or in all.", examples=[412.6])]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class DeploymentStatus(StrEnum):
    """How far the deployment of a NIM, or of a local judge, is. `completed`: it was taken down again."""

    CREATED = "created"
    PENDING = "pending"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    UNKNOWN = "unknown"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataSplitConfig(_Asked):
    """How records become sets. What is not given keeps the value of the profile."""

    eval_size: int = Field(default=100, ge=1, description="Items of the holdout.", examples=[100])
    val_ratio: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of what is left after the holdout that validates.",
        examples=[0.1],
    )
    min_total_records: int = Field(
        default=50, ge=1, description="Usable records below which the job is refused.", examples=[50]
    )
    random_seed: int | None = Field(
        default=None,
        ge=0,
        description="Seed of the split and the examples; null: the profile's.",
        examples=[7],
    )
    limit: int | None = Field(
        default=1000, ge=1, description="The newest records that are read; null: all.", examples=[1000]
    )
    parse_function_arguments: bool = Field(
        default=True, description="Tool-call arguments become objects.", examples=[True]
    )


class JobCreate(_Asked):
    """A turn of the wheel for one workload."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"workload_id": "support_agent", "client_id": "acme-shop"},
                {
                    "workload_id": "support_agent",
                    "client_id": "acme-shop",
                    "config_name": "starter",
                    "data_split_config": {"eval_size": 100},
                    "nims": [_NIM],
                },
            ]
        },
    )

    workload_id: Name = Field(description="Which of the client's workloads.", examples=["support_agent"])
    client_id: Name = Field(description="Whose traffic.", examples=["acme-shop"])
    job_type: Literal["llm_job", "embedding_job"] = Field(
        default="llm_job", description="Kind of the candidate models.", examples=["llm_job"]
    )
    config_name: Name | None = Field(
        default=None, description="Profile; null: the workload's own.", examples=["starter"]
    )
    data_split_config: DataSplitConfig | None = Field(
        default=None,
        description="Keys that are given override those of the profile; the others keep their values.",
        examples=[{"eval_size": 100}],
    )
    nims: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Candidates; null: those of the profile.", examples=[[_NIM]]
    )
    icl: dict[str, Any] | None = Field(
        default=None, description="Overrides keys of the profile's examples.", examples=[{"max_examples": 5}]
    )
    training: dict[str, Any] | None = Field(
        default=None, description="Overrides keys of the profile's training.", examples=[{"epochs": 3}]
    )
    judge: dict[str, Any] | None = Field(
        default=None,
        description='Overrides keys of the profile\'s judge; `{"type": "none"}`: nobody judges.',
        examples=[{"type": "none"}],
    )


class JobCreated(BaseModel):
    """The job was accepted."""

    id: str = Field(description="24 hexadecimal characters.", examples=[_JOB])
    status: Literal["queued"] = Field(default="queued", description="Always so.", examples=["queued"])
    message: str = Field(description="The same for people.", examples=["The job is queued."])


class JobMessage(BaseModel):
    """What came of an action on a job."""

    id: str = Field(description="The job.", examples=[_JOB])
    message: str = Field(description="What came of it.", examples=["The job was cancelled already."])


class Dataset(BaseModel):
    """A data set that the job made of the records."""

    name: str = Field(description="Name in the Data Store.", examples=[f"fw-{_JOB}"])
    num_records: int = Field(ge=0, description="Records in its sets.", examples=[940])
    nmp_uri: str | None = Field(
        default=None,
        description="In the Data Store; null until all of it is there.",
        examples=[f"hf://datasets/default/fw-{_JOB}"],
    )


class Evaluation(BaseModel):
    """One evaluation of one NIM."""

    eval_type: Literal["base-eval", "icl-eval", "customized-eval"] = Field(
        description="What the NIM was when it answered.", examples=["base-eval"]
    )
    scores: dict[str, float] = Field(
        description="By name. `similarity` is 1 to 10, all others are 0 to 1.",
        examples=[{"function_name": 0.93, "function_name_and_args_accuracy": 0.88}],
    )
    started_at: datetime = Field(description="When it began.", examples=[_TIME])
    finished_at: datetime | None = Field(default=None, description="When it was over.", examples=[_LATER])
    runtime_seconds: Seconds
    progress: Progress
    nmp_uri: str | None = Field(
        default=None, description="The job in NeMo.", examples=["http://nemo/v1/evaluation/jobs/eval-7Gq2"]
    )
    mlflow_uri: str | None = Field(default=None, description="Not used: null.", examples=[None])
    error: str | None = Field(default=None, description="Why it failed.", examples=[None])


class Customization(BaseModel):
    """The training of one NIM."""

    started_at: datetime = Field(description="When it began.", examples=[_TIME])
    finished_at: datetime | None = Field(default=None, description="When it was over.", examples=[_LATER])
    runtime_seconds: Seconds
    progress: Progress
    epochs_completed: int = Field(ge=0, description="As the service last said.", examples=[3])
    steps_completed: int = Field(ge=0, description="As the service last said.", examples=[171])
    nmp_uri: str | None = Field(
        default=None,
        description="The job in NeMo.",
        examples=["http://nemo/v1/customization/jobs/cust-9Xd1"],
    )
    customized_model: str | None = Field(
        default=None,
        description="Name under which what was trained is asked.",
        examples=[f"default/fw-{_JOB}-meta-llama-3.2-1b-instruct-1@cust-9Xd1"],
    )
    error: str | None = Field(default=None, description="Why it failed.", examples=[None])


class NotRun(BaseModel):
    """A stage that was not due, or could not be."""

    stage: str = Field(description="Its name.", examples=["icl_eval"])
    reason: str = Field(description="Why.", examples=["examples do not apply to embedding models"])


class Nim(BaseModel):
    """One candidate."""

    model_name: str = Field(description="Its name in API calls.", examples=[_NIM])
    status: NimStatus = Field(description="How far it is.", examples=["running-evals"])
    deployment_status: DeploymentStatus = Field(description="How far its deployment is.", examples=["ready"])
    runtime_seconds: Seconds
    evaluations: list[Evaluation] = Field(description="Those that began, or failed to.")
    customizations: list[Customization] = Field(description="The training that began, or failed to.")
    not_run: list[NotRun] = Field(default=[], description="Stages that did not run, and why.")
    error: str | None = Field(default=None, description="Why it failed.", examples=[None])


class LlmJudge(BaseModel):
    """The model that grades answers."""

    model_name: str = Field(description="Its name.", examples=["meta/llama-3.1-70b-instruct"])
    type: Literal["remote", "local"] = Field(description="Whether it is deployed here.", examples=["local"])
    deployment_status: DeploymentStatus = Field(
        description="Of a remote one always `ready`.", examples=["ready"]
    )
    error: str | None = Field(default=None, description="Why its scores are missing.", examples=[None])


class JobListItem(BaseModel):
    """A job in a list."""

    id: str = Field(description="24 hexadecimal characters.", examples=[_JOB])
    workload_id: str = Field(description="Which of the client's workloads.", examples=["support_agent"])
    client_id: str = Field(description="Whose traffic.", examples=["acme-shop"])
    status: RunStatus = Field(description="How far it is.", examples=["running"])
    started_at: datetime = Field(
        description="When it began; until its configuration is accepted, when it was asked for.",
        examples=[_TIME],
    )
    finished_at: datetime | None = Field(default=None, description="When it was over.", examples=[_LATER])
    datasets: list[Dataset] = Field(description="None until the records were read.")
    error: str | None = Field(default=None, description="Why it failed, with the remedy.", examples=[None])


class JobList(BaseModel):
    """One page of jobs."""

    jobs: list[JobListItem] = Field(description="In the order that was asked for.")
    next_cursor: str | None = Field(
        default=None,
        description="Send it as `cursor` for the next page; null: this is the last.",
        examples=["djE6MjAyNjAzMDIwOTMwMDAwMDAtZjExMQ"],
    )


class JobDetail(JobListItem):
    """All of a job."""

    num_records: int = Field(ge=0, description="Records read; 0 until they were.", examples=[1000])
    llm_judge: LlmJudge | None = Field(default=None, description="null: nobody judges.")
    nims: list[Nim] = Field(description="None until the configuration was accepted.")


def conf_of(job: JobCreate) -> dict[str, Any]:
    """The conf of the DAG run: what was said, and nothing else. A null that was said is left out, but in the
    split, where it means something (`limit`, `random_seed`).
    """
    said = job.model_dump(mode="json", exclude_unset=True)
    return {name: value for name, value in said.items() if value is not None}
