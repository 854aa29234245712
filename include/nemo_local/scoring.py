"""One task of an evaluation: each row's request is rendered, asked, and its answer scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import httpx
import orjson

from include.nemo_local.errors import ModelNotServed, NemoLocalError
from include.nemo_local.metrics import Metric
from include.nemo_local.templates import render

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a chat-completion body without its model, gives the assistant's message."""


class RowScorer:
    """Scores rows of one task. ``ask`` sees the rendered request only, never the row."""

    def __init__(self, template: dict[str, Any], metrics: dict[str, Metric], ask: Ask) -> None:
        self._template, self._metrics, self._ask = template, metrics, ask

    def score(self, index: int, line: bytes) -> dict[str, Any]:
        """The row of ``results.json``. An error is recorded in it and scores 0; ModelNotServed is raised."""
        row: dict[str, Any] = {"id": index, "item": None, "output_text": "", "response": None}
        try:
            item = orjson.loads(line)
            if not isinstance(item, dict):
                raise NemoLocalError("the row is not a JSON object")  # noqa: TRY301 - one way to note an error
            row["item"] = {key: value for key, value in item.items() if key != "request"}
            message = self._ask(render(self._template, {"item": item, "sample": {}}))
            row |= {"output_text": message.get("content") or "", "response": message}
            sample = {"output_text": row["output_text"], "response": message}
            return row | {name: metric.score(item, sample) for name, metric in self._metrics.items()}
        except ModelNotServed:
            raise
        except (
            NemoLocalError,
            httpx.HTTPError,
            orjson.JSONDecodeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            zeros = {name: dict.fromkeys(metric.score_names, 0.0) for name, metric in self._metrics.items()}
            return row | zeros | {"error": f"{type(error).__name__}: {error}"}

    def score_all(self, lines: Iterable[bytes], parallelism: int) -> Iterator[dict[str, Any]]:
        """Rows in the order of the file, a few of them in work at a time."""
        numbered = enumerate(lines)
        if parallelism == 1:
            for index, line in numbered:
                yield self.score(index, line)
            return
        pending: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(parallelism, thread_name_prefix="evaluation-row") as pool:
            try:
                for index, line in islice(numbered, 2 * parallelism):
                    pending.append(pool.submit(self.score, index, line))
                while pending:
                    yield pending.popleft().result()
                    for index, line in islice(numbered, 1):
                        pending.append(pool.submit(self.score, index, line))
            finally:
                for future in pending:
                    future.cancel()


class Totals:
    """Sums of one task's scores, from which the aggregate result is written."""

    def __init__(self, metrics: dict[str, Metric]) -> None:
        self._sums = {name: dict.fromkeys(metric.score_names, 0.0) for name, metric in metrics.items()}
        self.count = 0

    def add(self, row: dict[str, Any]) -> None:
        self.count += 1
        for metric, sums in self._sums.items():
            for score in sums:
                sums[score] += row[metric][score]

    def result(self) -> dict[str, Any]:
        """``{"metrics": {metric: {"scores": {score: {value, stats}}}}}``; value: mean of all rows."""
        return {
            "metrics": {
                metric: {"scores": {score: self._score(total) for score, total in sums.items()}}
                for metric, sums in self._sums.items()
            }
        }

    def _score(self, total: float) -> dict[str, Any]:
        mean = total / self.count if self.count else float("nan")
        return {"value": mean, "stats": {"count": self.count, "sum": total, "mean": mean}}


def endpoint_asker(url: str, model_id: str, api_key: str | None, client: httpx.Client) -> Ask:
    """Asks an OpenAI-compatible endpoint; ``url`` may end before or after ``/chat/completions``."""
    address = url if url.endswith("/chat/completions") else f"{url.rstrip('/')}/chat/completions"
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        answer = client.post(address, json=request | {"model": model_id}, headers=headers)
        answer.raise_for_status()
        message: dict[str, Any] = answer.json()["choices"][0]["message"]
        return message

    return ask
