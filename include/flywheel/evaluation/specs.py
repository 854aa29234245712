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
    template = {key: _replayed(key) for key in ("messages", "tools", "tool_choice")}
    ground_truth = {"tool_calls_ground_truth": "{{ item.tool_calls | tojson }}"}
    task = {
        "type": "chat-completion",
        "dataset": dataset,
        "params": {"parallelism": parallelism, "template": template},
        "metrics": {METRIC: {"type": "tool-calling", "params": ground_truth}},
    }
    return {"type": "custom", "namespace": namespace, "tasks": {TASK: task}}


def _replayed(key: str) -> str:
    return f"{{{{ item.request.{key} | tojson }}}}"


def model_target(model: str) -> dict[str, str]:
    """Build the evaluator's inline target for a model that the NIM proxy lists."""
    return {"type": "model", "model": model}


def aggregate_scores(results: Mapping[str, Any]) -> dict[str, float]:
    """Read the evaluator's own means out of its results, under the shown names, as fractions (0..1).

    A score without a value (null) is left out. Raises DecisionError when the results hold no
    tool-calling metric at all.
    """
    try:
        scores = results["tasks"][TASK]["metrics"][METRIC]["scores"]
        means = {name: scores[name] for name in SHOWN_SCORE_NAMES if name in scores}
        return {
            SHOWN_SCORE_NAMES[name]: float(mean["value"])
            for name, mean in means.items()
            if mean["value"] is not None
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DecisionError(
            f"the evaluation results have no readable tasks.{TASK}.metrics.{METRIC}.scores "
            f"({type(error).__name__}: {error}); look at the evaluation job's log"
        ) from error
