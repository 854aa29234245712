from __future__ import annotations

import json

import jinja2
import pytest

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.specs import Stage, aggregate_scores, model_target, tool_calling_config

FILES_URL = "hf://datasets/flywheel/fw-1/testing/eval.jsonl"


def results(**scores: float | None) -> dict[str, object]:
    by_name = {name: {"value": value, "stats": {"count": 2}} for name, value in scores.items()}
    return {"tasks": {"tool_calling": {"metrics": {"tool-calling-accuracy": {"scores": by_name}}}}}


def test_the_config_says_what_the_evaluator_expects():
    config = tool_calling_config(namespace="flywheel", files_url=FILES_URL, limit=50)

    task = config["tasks"]["tool_calling"]
    assert (config["type"], config["namespace"], task["type"]) == ("custom", "flywheel", "chat-completion")
    assert task["dataset"] == {"files_url": FILES_URL, "limit": 50}
    assert task["params"]["parallelism"] == 4
    assert task["metrics"]["tool-calling-accuracy"]["type"] == "tool-calling"
    json.dumps(config)


def test_without_a_limit_the_key_is_absent_and_every_row_is_read():
    config = tool_calling_config(namespace="flywheel", files_url=FILES_URL)

    assert config["tasks"]["tool_calling"]["dataset"] == {"files_url": FILES_URL}


def test_its_templates_give_back_the_request_as_it_was_logged():
    task = tool_calling_config(namespace="flywheel", files_url=FILES_URL)["tasks"]["tool_calling"]
    request = {
        "messages": [{"role": "user", "content": 'say "hé" & <b>'}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    }
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}]
    item = {"request": request, "tool_calls": calls}

    def rendered(template: str) -> object:
        return json.loads(jinja2.Template(template).render(item=item))

    assert {key: rendered(text) for key, text in task["params"]["template"].items()} == request
    truth = task["metrics"]["tool-calling-accuracy"]["params"]["tool_calls_ground_truth"]
    assert rendered(truth) == calls


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"files_url": "s3://bucket/eval.jsonl"}, "s3://bucket"),
        ({"files_url": FILES_URL, "limit": 0}, "limit is 0"),
        ({"files_url": FILES_URL, "parallelism": 0}, "parallelism is 0"),
    ],
)
def test_a_config_that_cannot_work_is_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        tool_calling_config(namespace="flywheel", **arguments)


def test_the_target_is_a_model_of_the_proxy():
    assert model_target("flywheel/small@cust-1") == {"type": "model", "model": "flywheel/small@cust-1"}


def test_stages_have_the_words_of_the_jobs_api():
    assert [stage.eval_type for stage in Stage] == [
        "base-eval",
        "icl-eval",
        "customized-eval",
        "reference-eval",
    ]


def test_the_evaluators_means_are_read_under_their_shown_names():
    read = aggregate_scores(results(function_name_accuracy=0.5, function_name_and_args_accuracy=0.25))

    assert read == {"function_name": 0.5, "function_name_and_args_accuracy": 0.25}


def test_a_mean_without_a_value_is_left_out():
    assert aggregate_scores(results(function_name_accuracy=None)) == {}


@pytest.mark.parametrize("broken", [{}, {"tasks": None}, {"tasks": {"tool_calling": {"metrics": {}}}}])
def test_results_without_the_metric_are_refused(broken):
    with pytest.raises(DecisionError, match="tool-calling-accuracy"):
        aggregate_scores(broken)
