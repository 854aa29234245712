"""What the evaluator is asked: stages, evaluation configs, and the names of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from include.flywheel.errors import DecisionError

TASK = "tool_calling"
METRIC = "tool-calling-accuracy"

SHOWN_SCORE_NAMES: Mapping[str, str] = {
    "function_name_accuracy": "function_name",
    "function_name_and_args_accuracy": "function_name_and_args_accuracy",
}
"""The evaluator's name of each tool-calling score → the name that people and the jobs API see."""

PRIMARY_SCORE = SHOWN_SCORE_NAMES["function_name_and_args_accuracy"]
"""The score that decides for tool calling: the right tools, each with the right arguments."""


RETRIEVAL_TASK = "retrieval"
RETRIEVAL_SCORE_NAMES: Mapping[str, str] = {
    "ndcg_cut_10": "ndcg_at_10",
    "recall_1": "recall_at_1",
    "recall_5": "recall_at_5",
    "recall_10": "recall_at_10",
}
"""The same for the retriever evaluation of an embedding model, whose metrics have the names of trec_eval."""


class Stage(StrEnum):
    """What a NIM was when it answered. The order of the members is from the cheapest to prepare on."""

    BASE = "base"
    ICL = "icl"
    CUSTOMIZED = "customized"
    REFERENCE = "reference"

    @property
    def eval_type(self) -> str:
        """The jobs API's word, for example `base-eval`."""
        return f"{self.value}-eval"

    @property
    def order(self) -> int:
        """Position in the declaration, for stable sorting."""
        return list(Stage).index(self)


def tool_calling_config(
    *, namespace: str, files_url: str, limit: int | None = None, parallelism: int = 4
) -> dict[str, Any]:
    """Build the evaluator's inline config for one file of tool-calling items.

    `files_url` is `hf://datasets/{namespace}/{name}/{file}`; `limit` is the greatest number of rows
    (None: all of them); `parallelism` is the number of requests in flight. The request is replayed as
    it was logged, `tool_choice` included: forcing a call would hide whether a model makes one when it
    should not.
    """
    metric = {"type": "tool-calling", "params": {"tool_calls_ground_truth": "{{ item.tool_calls | tojson }}"}}
    return _config(
        TASK,
        {METRIC: metric},
        namespace=namespace,
        files_url=files_url,
        limit=limit,
        parallelism=parallelism,
        replayed=("messages", "tools", "tool_choice"),
    )


def classification_config(
    *, namespace: str, files_url: str, limit: int | None = None, parallelism: int = 4
) -> dict[str, Any]:
    """The same for items with a `label`: is the answer that label, but for space around it."""
    check = ["{{ sample.output_text }}", "equals", "{{ item.label }}"]
    metric = {"type": "string-check", "params": {"check": check}}
    return _config(
        "classification",
        {"label": metric},
        namespace=namespace,
        files_url=files_url,
        limit=limit,
        parallelism=parallelism,
    )


def chat_config(
    *, namespace: str, files_url: str, limit: int | None = None, parallelism: int = 4
) -> dict[str, Any]:
    """The same for answers in text: ROUGE with the logged answer. Whoever judges them reads the answers."""
    metric = {"type": "rouge", "params": {"ground_truth": "{{ item.response.content }}"}}
    return _config(
        "chat",
        {"overlap": metric},
        namespace=namespace,
        files_url=files_url,
        limit=limit,
        parallelism=parallelism,
    )


def _config(
    task: str,
    metrics: dict[str, Any],
    *,
    namespace: str,
    files_url: str,
    limit: int | None,
    parallelism: int,
    replayed: tuple[str, ...] = ("messages",),
) -> dict[str, Any]:
    if not files_url.startswith("hf://datasets/"):
        raise ValueError(
            f"files_url is {files_url!r}; the evaluator reads hf://datasets/{{namespace}}/{{name}}/{{file}}"
        )
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; give a positive number of rows, or None for all of them")
    if parallelism < 1:
        raise ValueError(f"parallelism is {parallelism}; give at least 1 request in flight")
    dataset: dict[str, Any] = {"files_url": files_url}
    if limit is not None:
        dataset["limit"] = limit
    # Only what every item has: a template of what one has not is an error of the evaluator.
    template = {key: _replayed(key) for key in replayed}
    body = {
        "type": "chat-completion",
        "dataset": dataset,
        "params": {"parallelism": parallelism, "template": template},
        "metrics": metrics,
    }
    return {"type": "custom", "namespace": namespace, "tasks": {task: body}}


def _replayed(key: str) -> str:
    return f"{{{{ item.request.{key} | tojson }}}}"


def retrieval_config(
    *, namespace: str, files_url: str, limit: int | None = None, parallelism: int = 4
) -> dict[str, Any]:
    """Build the evaluator's inline config for the folder of a BEIR data set.

    The folder holds corpus.jsonl, queries.jsonl and qrels/test.tsv; `limit`: the most queries.
    """
    dataset: dict[str, Any] = {"files_url": files_url}
    if limit is not None:
        dataset["limit"] = limit
    task = {
        "type": "beir",
        "dataset": dataset,
        "params": {"parallelism": parallelism},
        "metrics": {name: {"type": name} for name in RETRIEVAL_SCORE_NAMES},
    }
    return {"type": "retriever", "namespace": namespace, "tasks": {RETRIEVAL_TASK: task}}


def retriever_target(model: str) -> dict[str, Any]:
    """Build the evaluator's inline target for an embedding model that the NIM proxy lists."""
    pipeline = {"query_embedding_model": model, "index_embedding_model": model}
    return {"type": "retriever", "retriever": {"pipeline": pipeline}}


def model_target(model: str) -> dict[str, str]:
    """Build the evaluator's inline target for a model that the NIM proxy lists."""
    return {"type": "model", "model": model}


def aggregate_scores(
    results: Mapping[str, Any],
    *,
    task: str = TASK,
    metric: str = METRIC,
    shown: Mapping[str, str] = SHOWN_SCORE_NAMES,
) -> dict[str, float]:
    """Read the evaluator's own means out of its results, under the shown names, as fractions (0..1).

    A score without a value (null) is left out. Raises DecisionError when the results hold no such metric
    at all.
    """
    try:
        scores = results["tasks"][task]["metrics"][metric]["scores"]
        means = {name: scores[name] for name in shown if name in scores}
        return {
            shown[name]: float(mean["value"]) for name, mean in means.items() if mean["value"] is not None
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DecisionError(
            f"the evaluation results have no readable tasks.{task}.metrics.{metric}.scores "
            f"({type(error).__name__}: {error}); look at the evaluation job's log"
        ) from error
