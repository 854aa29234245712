"""Metrics: what counts as the same tool calls, the operators, and what a configuration must say."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.nemo_local import metrics
from include.nemo_local.errors import Invalid

TRUTH = "{{ item.tool_calls | tojson }}"


def call(name, arguments):
    return {"function": {"name": name, "arguments": arguments}}


def scored(expected, made):
    metric = metrics.build(
        {"type": "tool-calling", "params": {"tool_calls_ground_truth": TRUTH}}, field="metrics.m"
    )
    made = [call(name, json.dumps(arguments)) for name, arguments in made]
    scores = metric.score({"tool_calls": expected}, {"response": {"tool_calls": made}})
    return scores["function_name_accuracy"], scores["function_name_and_args_accuracy"]


@pytest.mark.parametrize(
    ("expected", "made", "scores"),
    [
        ([], [], (1, 1)),
        ([], [("f", {})], (0, 0)),
        ([call("f", {})], [], (0, 0)),
        ([call("f", {"a": 1})], [("f", {"a": 1})], (1, 1)),
        ([call("f", {"a": 1})], [("f", {"a": 2})], (1, 0)),
        ([call("f", {"a": 1})], [("g", {"a": 1})], (0, 0)),
        ([call("f", {"a": 1.0, "b": [2]})], [("f", {"b": [2.0], "a": 1})], (1, 1)),
        ([call("f", {"a": True})], [("f", {"a": 1})], (1, 0)),
        ([call("f", {"a": "1"})], [("f", {"a": 1})], (1, 0)),
        ([call("f", '{"a": 1}')], [("f", {"a": 1})], (1, 1)),
        ([call("f", {}), call("g", {})], [("g", {}), ("f", {})], (1, 1)),
        ([call("f", {}), call("f", {})], [("f", {})], (0, 0)),
        ([call("f", {"a": 1}), call("f", {"a": 2})], [("f", {"a": 1}), ("f", {"a": 1})], (1, 0)),
        ([call("f", {"a": [1, 2]})], [("f", {"a": [2, 1]})], (1, 0)),
    ],
)
def test_tool_calls_compare_as_multisets(expected, made, scores):
    assert scored(expected, made) == scores


def test_arguments_that_are_no_json_never_match():
    metric = metrics.ToolCalling(TRUTH)
    sample = {"response": {"tool_calls": [call("f", '{"a": ')]}}
    assert metric.score({"tool_calls": [call("f", {"a": 1})]}, sample) == {
        "function_name_accuracy": 1.0,
        "function_name_and_args_accuracy": 0.0,
    }


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(
        st.tuples(st.sampled_from("fgh"), st.dictionaries(st.text(max_size=3), plain, max_size=3)), max_size=4
    ),
    order=st.randoms(use_true_random=False),
)
def test_any_calls_match_themselves_in_any_order(calls, order):
    shuffled = list(calls)
    order.shuffle(shuffled)
    assert scored([call(name, arguments) for name, arguments in calls], shuffled) == (1, 1)


@pytest.mark.parametrize(
    ("operator", "right", "holds"),
    [
        ("equals", "Refund now", True),
        ("equals", "refund now", False),
        ("not equals", "refund", True),
        ("contains", "fund", True),
        ("startswith", "Refund", True),
        ("endswith", "Refund", False),
    ],
)
def test_string_check_compares_rendered_texts(operator, right, holds):
    config = {
        "type": "string-check",
        "params": {"check": ["{{ sample.output_text }}", operator, "{{ item.want }}"]},
    }
    metric = metrics.build(config, field="metrics.m")
    assert metric.score({"want": right}, {"output_text": " Refund now\n"}) == {"string-check": float(holds)}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"type": "bert"}, "bert"),
        ({"type": "bleu"}, "references"),
        ({"type": "bleu", "params": {"references": []}}, "references"),
        ({"type": "f1"}, "ground_truth"),
        ({"type": "rouge", "params": {"ground_truth": "a", "candidate": 1}}, "candidate"),
        ({"type": "number-check", "params": {"check": ["a", "absolute difference", "b"]}}, "epsilon"),
        ({"type": "number-check", "params": {"check": ["a", "near", "b"]}}, "near"),
        ({"type": "llm-judge", "params": {"model": "m"}}, "template"),
        ({"type": "tool-calling"}, "tool_calls_ground_truth"),
        ({"type": "string-check", "params": {"check": ["a", "b"]}}, "operator"),
        ({"type": "string-check", "params": {"check": ["a", "resembles", "b"]}}, "resembles"),
    ],
)
def test_a_metric_that_is_not_understood_is_refused_by_name(config, says):
    with pytest.raises(Invalid, match=says) as caught:
        metrics.build(config, field="config.tasks.t.metrics.m")
    assert caught.value.field.startswith("config.tasks.t.metrics.m")
