"""What the services answer. Unknown fields are ignored, nulls and missing fields survive.

Field names are the wire's. Percentages are 0 to 100, times are seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from include.nemo.states import JobState

T = TypeVar("T")
OrEmpty = BeforeValidator(lambda value: {} if value is None else value)
OrNothing = BeforeValidator(lambda value: [] if value is None else value)


class Wire(BaseModel):
    """Base: lenient about what is added, strict about the types of what is read."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Entity(Wire):
    """What most answers have in common."""

    id: str | None = None
    name: str | None = None
    namespace: str | None = None
    project: str | None = None
    description: str | None = None
    custom_fields: Annotated[dict[str, Any], OrEmpty] = Field(default_factory=dict)

    @property
    def qualified_name(self) -> str:
        """`namespace/name`; what is missing reads as the services fill it in."""
        return f"{self.namespace or 'default'}/{self.name or self.id or ''}"


class Namespace(Entity):
    """A namespace; its id is its name."""


class Project(Entity):
    """A project: the flywheel's run, for example."""


class Dataset(Entity):
    """A data set; `files_url` is `hf://datasets/{namespace}/{name}[/path]`."""

    files_url: str | None = None


class Artifact(Wire):
    """Where a model's files are and whether they are there."""

    status: JobState = JobState("unknown")
    files_url: str | None = None


class Model(Entity):
    """A model of the Entity Store. `base_model` is a name or an object."""

    base_model: str | dict[str, Any] | None = None
    artifact: Artifact | None = None
    peft: dict[str, Any] | None = None


class DeploymentStatus(Wire):
    """`description` says in words what the deployment waits for."""

    status: JobState = JobState("unknown")
    description: str | None = None


class DeploymentConfig(Entity):
    """A stored deployment configuration; `model` is a name or an object."""

    model: str | dict[str, Any] | None = None
    nim_deployment: dict[str, Any] | None = None


class Deployment(Entity):
    """A model deployment. Its state is `status_details.status`."""

    deployed: bool | None = None
    url: str | None = None
    config: str | dict[str, Any] | None = None
    status_details: Annotated[DeploymentStatus, OrEmpty] = Field(default_factory=DeploymentStatus)

    @property
    def state(self) -> JobState:
        return self.status_details.status


class CustomizationTarget(Entity):
    """A model that can be customized."""

    base_model: str | None = None
    enabled: bool | None = None
    status: JobState = JobState("unknown")
    num_parameters: int | None = None
    precision: str | None = None


class TrainingOption(Wire):
    """One way of training that a configuration offers."""

    training_type: str | None = None
    finetuning_type: str | None = None
    num_gpus: int | None = None
    num_nodes: int | None = None
    micro_batch_size: int | None = None
    tensor_parallel_size: int | None = None


class CustomizationConfig(Entity):
    """A target with its training options. `target` is a name or an object."""

    target: str | dict[str, Any] | None = None
    training_options: Annotated[list[TrainingOption], OrNothing] = Field(default_factory=list)
    training_precision: str | None = None
    max_seq_length: int | None = None


class StatusLog(Wire):
    """One line of a customization job's history."""

    updated_at: str | None = None
    message: str | None = None
    detail: str | None = None


class CustomizationStatus(Wire):
    """Training progress; each value may be null at any time."""

    status: JobState = JobState("unknown")
    percentage_done: float | None = None
    epochs_completed: int | None = None
    steps_completed: int | None = None
    steps_per_epoch: int | None = None
    best_epoch: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    elapsed_time: float | None = None
    metrics: dict[str, Any] | None = None
    status_logs: Annotated[list[StatusLog], OrNothing] = Field(default_factory=list)


class CustomizationJob(Entity):
    """A customization job. `output_model` is `namespace/name@<job id>` once the server completed it."""

    status: JobState = JobState("unknown")
    output_model: str | None = None
    config: str | dict[str, Any] | None = None
    dataset: str | dict[str, Any] | None = None
    hyperparameters: dict[str, Any] | None = None
    status_details: CustomizationStatus | None = None

    @property
    def state(self) -> JobState:
        return self.status


class ContainerEntry(Wire):
    """One container of a customization job: its logs by name, and what happened to it."""

    logs: Annotated[dict[str, Any], OrEmpty] = Field(default_factory=dict)
    events: Annotated[list[dict[str, Any]], OrNothing] = Field(default_factory=list)
    status: dict[str, Any] | None = None


class ContainerLogs(Wire):
    """What the containers of a customization job wrote, and the error that ended it."""

    entries: Annotated[dict[str, ContainerEntry], OrEmpty] = Field(default_factory=dict)
    error: dict[str, Any] | None = None


class EvaluationStatus(Wire):
    """Evaluation progress; `progress` is null unless a sample limit is set."""

    message: str | None = None
    progress: float | None = None
    samples_processed: int | None = None
    task_status: Annotated[dict[str, Any], OrEmpty] = Field(default_factory=dict)


class EvaluationJob(Entity):
    """An evaluation job. `result` names its result once there is one."""

    status: JobState = JobState("unknown")
    target: str | dict[str, Any] | None = None
    config: str | dict[str, Any] | None = None
    result: str | None = None
    output_files_url: str | None = None
    status_details: EvaluationStatus | None = None

    @property
    def state(self) -> JobState:
        return self.status


class ScoreStats(Wire):
    """How a score was made; `value` of the score is usually `mean`."""

    count: int | None = None
    sum: float | None = None
    mean: float | None = None
    stddev: float | None = None
    stderr: float | None = None
    nan_count: int | None = None


class Score(Wire):
    """One aggregate score; NaN when nothing could be scored."""

    value: float | None = None
    stats: ScoreStats | None = None


class MetricResult(Wire):
    """The scores of one metric."""

    scores: Annotated[dict[str, Score], OrEmpty] = Field(default_factory=dict)


class TaskResult(Wire):
    """The metrics of one task."""

    metrics: Annotated[dict[str, MetricResult], OrEmpty] = Field(default_factory=dict)


class EvaluationResult(Entity):
    """The aggregate: `tasks.<task>.metrics.<metric>.scores.<score>.value`."""

    job: str | None = None
    files_url: str | None = None
    tasks: Annotated[dict[str, TaskResult], OrEmpty] = Field(default_factory=dict)
    groups: dict[str, Any] | None = None


class LiveEvaluation(Wire):
    """An evaluation that was answered at once."""

    status: JobState = JobState("unknown")
    status_details: EvaluationStatus | None = None
    result: EvaluationResult | None = None
    logs: dict[str, Any] | None = None


class EvaluationTarget(Entity):
    """What a stored target evaluates. `model` is a name or an object; keys come back as `******`."""

    type: str | None = None
    model: str | dict[str, Any] | None = None


class EvaluationConfig(Entity):
    """A stored evaluation configuration."""

    type: str | None = None
    tasks: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
