"""The tasks of one evaluation: rows from the Data Store, answers from a model, scores into a sink."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from include.nemo_local.asking import Asking
from include.nemo_local.errors import JobFailed
from include.nemo_local.metrics import ranking
from include.nemo_local.repositories import Repositories, parse_files_url
from include.nemo_local.retrieval import Hit, Search, Text, judgements, texts
from include.nemo_local.scoring import Row, RowScorer, Totals
from include.nemo_local.served import ServedModels
from include.nemo_local.services.evaluation_rows import rows_of
from include.nemo_local.services.evaluator_wire import BeirTask, ConfigIn, DataTask, RowTask, TargetIn

_DEFAULT_TOP_K = 10


class Sink(Protocol):
    """Where an evaluation's rows and progress go."""

    def check(self) -> None:
        """Raises JobCancelled or ServerStopping when the work should end."""

    def row(self, row: dict[str, Any], in_task: int, limit: int | None) -> None:
        """Takes one scored row: the ``in_task``-th of its task, of ``limit`` at most."""

    def say(self, text: str) -> None:
        """Takes a line for the log."""


@dataclass(frozen=True)
class _Work:
    """One task and all that it needs; ``label`` goes into its rows when there are several tasks."""

    repositories: Repositories
    asking: Asking
    config: ConfigIn
    name: str
    target: TargetIn
    sink: Sink
    label: dict[str, str]

    @property
    def place(self) -> str:
        return f"config.tasks.{self.name}"


class TaskRunner:
    """Runs all tasks of a configuration against a target."""

    def __init__(self, repositories: Repositories, served: ServedModels) -> None:
        self._repositories, self._served = repositories, served

    def run(self, config: ConfigIn, target: TargetIn, sink: Sink) -> dict[str, Any]:
        """``{"tasks": {task: result}, "groups": {…}}``.

        Raises JobFailed and ApiError for what cannot be evaluated, and what the sink raises.
        """
        if isinstance(target.model, str):
            self._served.require(target.model)
        tasks: dict[str, Any] = {}
        groups: dict[str, Any] = {}
        for name, task in config.tasks.items():
            sink.say(f"task {name} ({task.type}) begins")
            label = {"task": name} if len(config.tasks) > 1 else {}
            asking = Asking(
                self._served, timeout_seconds=config.timeout_seconds(task), retries=config.retries(task)
            )
            with asking:
                work = _Work(self._repositories, asking, config, name, target, sink, label)
                if isinstance(task, BeirTask):
                    tasks[name], groups = _score_rankings(work, task)
                else:
                    tasks[name] = _score_rows(work, task)
            sink.say(f"task {name}: {tasks[name]['data']}")
        return {"tasks": tasks, "groups": groups}


def _score_rows(work: _Work, task: RowTask) -> dict[str, Any]:
    metrics = task.built_metrics(work.place, work.asking.model)
    template: dict[str, Any] = {} if isinstance(task, DataTask) else task.params.template.model_dump()
    model = None if isinstance(task, DataTask) else work.target.model
    ask = None if model is None else work.asking.model(model)
    scorer = RowScorer(template, metrics, ask, work.config.sampling(task))
    totals = Totals({name: metric.score_names for name, metric in metrics.items()})
    limit = work.config.sample_limit(task)
    rows, source = _rows(work, task)
    for row in scorer.score_all(islice(rows, limit), work.config.parallelism(task)):
        work.sink.check()
        totals.add(row)
        work.sink.row(row | work.label, totals.count, limit)
    if totals.count == 0:
        raise JobFailed(f"task {work.name}: {source} has no rows; upload some")
    return totals.result({name: metric.overall() for name, metric in metrics.items()})


def _rows(work: _Work, task: RowTask) -> tuple[Iterator[Row], str]:
    """The rows to score, and what to call them. The target's own come first."""
    target = work.target
    if target.type == "rows":
        return iter(target.rows or []), "the target"
    dataset = target.dataset if target.type == "dataset" else task.dataset
    if dataset is None:
        raise JobFailed("neither the target nor the task has rows; give the task a `dataset`")
    return islice(rows_of(work.repositories, dataset.files_url), dataset.limit), dataset.files_url


def _score_rankings(work: _Work, task: BeirTask) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task's result, and the same scores as the group `evaluation`."""
    kinds = list(dict.fromkeys(task.kinds(work.place).values()))
    limit = work.config.sample_limit(task)
    qrels = judgements(_file(work, task, f"qrels/{task.dataset.split or 'test'}.tsv"), "qrels")
    judged = (
        query for query in texts(_file(work, task, "queries.jsonl"), "queries.jsonl") if query.id in qrels
    )
    queries = list(islice(judged, limit or task.dataset.limit))
    if not queries:
        raise JobFailed(f"task {work.name}: none of the queries is judged in qrels; upload both")
    totals = Totals({f"retriever.{kind}": (kind,) for kind in kinds})
    for number, (query, hits) in enumerate(zip(queries, _ranked(work, task, queries, kinds), strict=True)):
        row = _ranked_row(number, query, hits)
        row |= {f"retriever.{kind}": {kind: _scored(kind, hits, qrels[query.id])} for kind in kinds}
        totals.add(row)
        work.sink.row(row | work.label, totals.count, limit)
    result = totals.result()
    scores: dict[str, Any] = {}
    for metric in result["metrics"].values():
        scores |= metric["scores"]
    return result, {"evaluation": {"metrics": {"evaluation": {"scores": scores}}}}


def _ranked(work: _Work, task: BeirTask, queries: list[Text], kinds: list[str]) -> Iterator[list[Hit]]:
    """The best documents of every query: ``top_k`` of them, or as many as the deepest metric reads."""
    if work.target.retriever is None:
        raise JobFailed("a retriever evaluation needs a retriever target")
    pipeline = work.target.retriever.pipeline
    deepest = max(ranking.parse(kind, field="type")[1] for kind in kinds)
    embed_query = work.asking.embedder(pipeline.query_embedding_model)
    search = Search(queries, embed_query, pipeline.top_k or max(_DEFAULT_TOP_K, deepest))
    corpus = texts(_file(work, task, "corpus.jsonl"), "corpus.jsonl")
    search.read(corpus, work.asking.embedder(pipeline.index_embedding_model), work.sink.check)
    return search.ranked()


def _file(work: _Work, task: BeirTask, path: str) -> Iterator[bytes]:
    repo, revision, folder = parse_files_url(task.dataset.files_url)
    commit = work.repositories.resolve(repo, revision)
    place = f"{folder.rstrip('/')}/{path}".lstrip("/")
    work.repositories.entry(repo, commit, place)
    return work.repositories.lines(repo, commit, [place])


def _ranked_row(number: int, query: Text, hits: list[Hit]) -> dict[str, Any]:
    retrieved = [{"id": hit.id, "score": round(hit.score, 6)} for hit in hits]
    return {"id": number, "item": {"_id": query.id, "text": query.text}, "retrieved": retrieved}


def _scored(kind: str, hits: list[Hit], relevance: dict[str, int]) -> float:
    score, cut = ranking.parse(kind, field="type")
    return score([hit.id for hit in hits], relevance, cut)
