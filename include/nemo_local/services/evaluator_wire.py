"""Bodies of the Evaluator: configurations, targets and jobs."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from include.nemo_local.asking import REQUEST_TIMEOUT_SECONDS, ModelRef
from include.nemo_local.errors import Invalid
from include.nemo_local.metrics import Metric, build, ranking
from include.nemo_local.metrics.build import AskOf
from include.nemo_local.services.entities import EntityIn, Name
from include.nemo_local.services.not_offered import offered_config, offered_target

_SAMPLING = ("temperature", "max_tokens", "top_p", "stop")


class DatasetFile(BaseModel):
    """A file of rows (a folder for retrievers); ``limit`` takes the first rows only."""

    model_config = ConfigDict(extra="allow")

    files_url: str
    limit: int | None = Field(default=None, ge=1)
    split: str | None = None


class Pipeline(BaseModel):
    """A retriever: ``top_k`` documents are found for a query."""

    model_config = ConfigDict(extra="allow")

    query_embedding_model: str | ModelRef
    index_embedding_model: str | ModelRef
    reranker_model: Any = None
    top_k: int | None = Field(default=None, ge=1, le=1000)

    @field_validator("reranker_model")
    @classmethod
    def _no_reranker(cls, model: Any) -> None:
        if model is not None:
            raise ValueError("this server has no reranker models; leave it out")


class Retriever(BaseModel):
    """A retriever given by its pipeline."""

    model_config = ConfigDict(extra="allow")

    pipeline: Pipeline


class TargetIn(EntityIn):
    """What is evaluated: a model by name or endpoint, a retriever, or answers in rows or a data set."""

    type: Annotated[Literal["model", "retriever", "rows", "dataset"], BeforeValidator(offered_target)]
    model: str | ModelRef | None = None
    retriever: Retriever | None = None
    rows: list[dict[str, Any]] | None = Field(default=None, min_length=1)
    dataset: DatasetFile | None = None

    @model_validator(mode="after")
    def _described(self) -> "TargetIn":
        if getattr(self, self.type) is None:
            raise ValueError(f"a target of type {self.type} needs `{self.type}`")
        return self

    def model_name(self) -> str:
        """The name that behaviours match; empty where nothing is asked."""
        model = self.retriever.pipeline.query_embedding_model if self.retriever else self.model
        return model.api_endpoint.model_id if isinstance(model, ModelRef) else model or ""


class TaskParams(BaseModel):
    """What may be set on a task and, for all that say nothing themselves, on the configuration."""

    model_config = ConfigDict(extra="allow")

    parallelism: int | None = Field(default=None, ge=1, le=64)
    limit_samples: int | None = Field(default=None, ge=1)
    request_timeout: float | None = Field(default=None, gt=0, le=3600)
    max_retries: int | None = Field(default=None, ge=0, le=10)
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    top_p: float | None = None
    stop: str | list[str] | None = None


class ChatTemplate(BaseModel):
    """The chat-completion body to send, rendered over each row."""

    model_config = ConfigDict(extra="allow")

    messages: Any


class PromptTemplate(BaseModel):
    """The completion body to send, rendered over each row."""

    model_config = ConfigDict(extra="allow")

    prompt: str


class ChatParams(TaskParams):
    """Parameters of a chat-completion task."""

    template: ChatTemplate


class CompletionParams(TaskParams):
    """Parameters of a completion task."""

    template: PromptTemplate


class _RowTask(BaseModel):
    """A task whose rows are scored one by one."""

    model_config = ConfigDict(extra="allow")

    metrics: dict[str, dict[str, Any]] = Field(min_length=1)

    def built_metrics(self, field: str, ask: AskOf | None = None) -> dict[str, Metric]:
        """Raises Invalid for a metric that is not understood."""
        answered = not isinstance(self, DataTask)
        more: dict[str, Any] = {} if ask is None else {"ask": ask}
        return {
            name: build(config, field=f"{field}.metrics.{name}", answered=answered, **more)
            for name, config in self.metrics.items()
        }


class ChatTask(_RowTask):
    """Rows answered by chat completion."""

    type: Literal["chat-completion"]
    dataset: DatasetFile
    params: ChatParams


class CompletionTask(_RowTask):
    """Rows answered by completion."""

    type: Literal["completion"]
    dataset: DatasetFile
    params: CompletionParams


class DataTask(_RowTask):
    """Rows that hold the answers already; without ``dataset`` they are the target's."""

    type: Literal["data"]
    dataset: DatasetFile | None = None
    params: TaskParams = Field(default_factory=TaskParams)


class BeirTask(BaseModel):
    """Retrieval over a folder with corpus.jsonl, queries.jsonl and qrels/<split>.tsv."""

    model_config = ConfigDict(extra="allow")

    type: Literal["beir"]
    dataset: DatasetFile
    params: TaskParams = Field(default_factory=TaskParams)
    metrics: dict[str, dict[str, Any]] = Field(min_length=1)

    def kinds(self, field: str) -> dict[str, str]:
        """Type by the metric's name. Raises Invalid for one that is not offered."""
        kinds = {name: str(config.get("type", name)) for name, config in self.metrics.items()}
        for name, kind in kinds.items():
            ranking.parse(kind, field=f"{field}.metrics.{name}.type")
        return kinds


RowTask = ChatTask | CompletionTask | DataTask
Task = Annotated[RowTask | BeirTask, Field(discriminator="type")]


class ConfigIn(EntityIn):
    """An evaluation of rows (`custom`) or of a retriever."""

    type: Annotated[Literal["custom", "retriever"], BeforeValidator(offered_config)]
    params: TaskParams | None = None
    tasks: dict[str, Task] = Field(min_length=1)

    def check(self) -> None:
        """Raises Invalid for a metric that is not understood, or a task that is none of this type's."""
        for name, task in self.tasks.items():
            place = f"config.tasks.{name}"
            if isinstance(task, BeirTask) != (self.type == "retriever"):
                raise Invalid(f"a {self.type} configuration has no {task.type} tasks", field=f"{place}.type")
            if isinstance(task, BeirTask):
                task.kinds(place)
            else:
                task.built_metrics(place)

    def check_with(self, target: TargetIn) -> None:
        """Raises Invalid for a target that the tasks cannot use."""
        for name, task in self.tasks.items():
            wanted = _targets_of(task)
            if target.type not in wanted:
                raise Invalid(
                    f"task {name} ({task.type}) needs a target of type {' or '.join(wanted)}, "
                    f"not {target.type}",
                    field="target.type",
                )

    def parallelism(self, task: RowTask) -> int:
        return self._first("parallelism", task) or 1

    def timeout_seconds(self, task: RowTask | BeirTask) -> float:
        return self._first("request_timeout", task) or REQUEST_TIMEOUT_SECONDS

    def retries(self, task: RowTask | BeirTask) -> int:
        return self._first("max_retries", task) or 0

    def sampling(self, task: RowTask) -> dict[str, Any]:
        """Sampling parameters for requests whose template sets none."""
        found = {name: self._first(name, task) for name in _SAMPLING}
        return {name: value for name, value in found.items() if value is not None}

    def sample_limit(self, task: RowTask | BeirTask) -> int | None:
        """The smallest limit that anything sets, for progress; the dataset's own limit is no sample limit."""
        limits = [task.params.limit_samples, self.params.limit_samples if self.params else None]
        return min((limit for limit in limits if limit is not None), default=None)

    def _first(self, name: str, task: RowTask | BeirTask) -> Any:
        """The task's own word, else the configuration's."""
        own = getattr(task.params, name)
        return own if own is not None or self.params is None else getattr(self.params, name)


def _targets_of(task: RowTask | BeirTask) -> tuple[str, ...]:
    if isinstance(task, BeirTask):
        return ("retriever",)
    if not isinstance(task, DataTask):
        return ("model",)
    return ("rows", "dataset", "model") if task.dataset else ("rows", "dataset")


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
