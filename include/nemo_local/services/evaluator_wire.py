"""Bodies of the Evaluator: configurations, targets and jobs."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from include.nemo_local.errors import Invalid
from include.nemo_local.metrics import Metric, build
from include.nemo_local.services.entities import EntityIn, Name


class Api(BaseModel):
    """An OpenAI-compatible endpoint elsewhere."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    url: str
    model_id: str
    api_key: str | None = None


class ModelTarget(BaseModel):
    """A model given by its endpoint."""

    model_config = ConfigDict(extra="allow")

    api_endpoint: Api


class TargetIn(EntityIn):
    """What is evaluated: a model by its name at the NIM proxy, or by its endpoint."""

    type: Literal["model"]
    model: str | ModelTarget

    def model_name(self) -> str:
        return self.model if isinstance(self.model, str) else self.model.api_endpoint.model_id


class DatasetFile(BaseModel):
    """A file of rows; ``limit`` takes the first rows only."""

    model_config = ConfigDict(extra="allow")

    files_url: str
    limit: int | None = Field(default=None, ge=1)


class TaskParams(BaseModel):
    """``template`` is the chat-completion body to send, rendered over each row."""

    model_config = ConfigDict(extra="allow")

    template: dict[str, Any]
    parallelism: int = Field(default=1, ge=1, le=64)
    limit_samples: int | None = Field(default=None, ge=1)


class Task(BaseModel):
    """One task of a configuration."""

    model_config = ConfigDict(extra="allow")

    type: Literal["chat-completion"]
    dataset: DatasetFile
    params: TaskParams
    metrics: dict[str, dict[str, Any]] = Field(min_length=1)

    def built_metrics(self, field: str) -> dict[str, Metric]:
        """Raises Invalid for a metric that is not understood."""
        return {name: build(config, field=f"{field}.metrics.{name}") for name, config in self.metrics.items()}


class ConfigParams(BaseModel):
    """Parameters of a whole configuration; they hold for tasks that say nothing themselves."""

    model_config = ConfigDict(extra="allow")

    parallelism: int | None = Field(default=None, ge=1, le=64)
    limit_samples: int | None = Field(default=None, ge=1)


class ConfigIn(EntityIn):
    """A custom evaluation."""

    type: Literal["custom"]
    params: ConfigParams | None = None
    tasks: dict[str, Task] = Field(min_length=1)

    def check(self) -> None:
        """Raises Invalid for a metric that is not understood."""
        for name, task in self.tasks.items():
            task.built_metrics(f"config.tasks.{name}")

    def parallelism(self, task: Task) -> int:
        if "parallelism" not in task.params.model_fields_set and self.params and self.params.parallelism:
            return self.params.parallelism
        return task.params.parallelism

    def sample_limit(self, task: Task) -> int | None:
        """The smallest limit that anything sets, for progress; the dataset's own limit is no sample limit."""
        limits = [task.params.limit_samples, self.params.limit_samples if self.params else None]
        return min((limit for limit in limits if limit is not None), default=None)


class JobIn(BaseModel):
    """Body of create: ``config`` and ``target`` in place, or ``namespace/name`` of stored ones."""

    model_config = ConfigDict(extra="allow")

    namespace: Name = "default"
    description: str | None = None
    project: str | None = None
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    config: ConfigIn | str
    target: TargetIn | str


def masked(value: Any) -> Any:
    """The body with every ``api_key`` and ``hf_token`` hidden."""
    if isinstance(value, dict):
        return {
            key: "******" if key in ("api_key", "hf_token") and entry else masked(entry)
            for key, entry in value.items()
        }
    return [masked(entry) for entry in value] if isinstance(value, list) else value


def split_reference(reference: str, field: str) -> tuple[str, str]:
    """Namespace and name of a reference. Raises Invalid."""
    namespace, _, name = reference.partition("/")
    if not name:
        raise Invalid(f"{field} {reference!r} must be <namespace>/<name>, or given in place", field=field)
    return namespace, name
