"""One task of an evaluation: each row's request is rendered, asked, and its answer scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import httpx
import orjson

from include.nemo_local.asking import Ask
from include.nemo_local.errors import ModelNotServed, NemoLocalError
from include.nemo_local.metrics import Metric
from include.nemo_local.statistics import ScoreStats
from include.nemo_local.templates import render

Row = bytes | dict[str, Any]
"""A row as it is read: the line of a JSONL file, or what another format holds."""

_ROW_ERRORS = (NemoLocalError, httpx.HTTPError, KeyError, TypeError, ValueError, RecursionError)


class RowScorer:
    """Scores rows of one task. ``ask`` sees the rendered request only, never the row.

    Without ``ask`` the rows hold the answers themselves (task type `data`). ``defaults`` are sampling
    parameters for requests that set none.
    """

    def __init__(
        self,
        template: dict[str, Any],
        metrics: dict[str, Metric],
        ask: Ask | None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self._template, self._metrics, self._ask = template, metrics, ask
        self._defaults = defaults or {}

    def score(self, index: int, source: Row) -> dict[str, Any]:
        """The row of ``results.json``.

        An error is recorded in it and scores what the metric says; ModelNotServed is raised.
        """
        row: dict[str, Any] = {"id": index, "item": None, "output_text": "", "response": None}
        try:
            item = orjson.loads(source) if isinstance(source, bytes) else source
            if not isinstance(item, dict):
                raise NemoLocalError("the row is not a JSON object")
            row["item"] = {key: value for key, value in item.items() if key != "request"}
            sample = self._sample(item)
        except ModelNotServed:
            raise
        except _ROW_ERRORS as error:
            nothing = {
                name: dict.fromkeys(metric.score_names, metric.failed) for name, metric in self._each()
            }
            return row | nothing | {"error": _said(error)}
        return row | sample | self._scores(item, sample)

    def _sample(self, item: dict[str, Any]) -> dict[str, Any]:
        if self._ask is None:
            return {}
        message = self._ask(self._defaults | render(self._template, {"item": item, "sample": {}}))
        return {"output_text": message.get("content") or "", "response": message}

    def _scores(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
        """A column a metric; ``error`` names the metrics that could not score the row."""
        columns: dict[str, Any] = {}
        problems = []
        for name, metric in self._each():
            try:
                columns[name] = metric.score(item, sample)
            except ModelNotServed:
                raise
            except _ROW_ERRORS as error:
                columns[name] = dict.fromkeys(metric.score_names, metric.failed)
                problems.append(f"{name}: {_said(error)}")
        return columns | ({"error": "; ".join(problems)} if problems else {})

    def _each(self) -> Iterable[tuple[str, Metric]]:
        return self._metrics.items()

    def score_all(self, rows: Iterable[Row], parallelism: int) -> Iterator[dict[str, Any]]:
        """Rows in the order of the file, a few of them in work at a time."""
        numbered = enumerate(rows)
        if parallelism == 1:
            for index, row in numbered:
                yield self.score(index, row)
            return
        pending: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(parallelism, thread_name_prefix="evaluation-row") as pool:
            try:
                for index, row in islice(numbered, 2 * parallelism):
                    pending.append(pool.submit(self.score, index, row))
                while pending:
                    yield pending.popleft().result()
                    for index, row in islice(numbered, 1):
                        pending.append(pool.submit(self.score, index, row))
            finally:
                for future in pending:
                    future.cancel()


class Totals:
    """Statistics of one task's scores, from which the aggregate result is written."""

    def __init__(self, score_names: dict[str, tuple[str, ...]]) -> None:
        self._stats = {
            metric: {score: ScoreStats() for score in scores} for metric, scores in score_names.items()
        }
        self.count = 0
        self.errors = 0

    def add(self, row: dict[str, Any]) -> None:
        self.count += 1
        self.errors += "error" in row
        for metric, stats in self._stats.items():
            for score, stat in stats.items():
                stat.add(row[metric][score])

    def result(self, overall: dict[str, dict[str, float]] | None = None) -> dict[str, Any]:
        """``{"data": {rows, errors}, "metrics": {metric: {"scores": {score: {value, stats}}}}}``.

        ``overall`` holds scores by metric that are no means; they have no statistics.
        """
        metrics = {}
        for metric, stats in self._stats.items():
            scores = {score: stat.result() for score, stat in stats.items()}
            for score, value in (overall or {}).get(metric, {}).items():
                scores[score] = {"value": value, "stats": {"count": self.count}}
            metrics[metric] = {"scores": scores}
        return {"data": {"rows": self.count, "errors": self.errors}, "metrics": metrics}


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
