"""In-context examples: where they go, which are chosen, what the budget leaves."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from include.flywheel.datasets.formats import eval_row, icl_row
from include.flywheel.datasets.icl import (
    ExamplePool,
    IclConfig,
    IclImpossible,
    estimate_tokens,
    icl_report,
    make_example,
)
from include.flywheel.datasets.records import NO_TOOL
from include.flywheel.datasets.validate import validate
from include.flywheel.logs.store import RawRecord

CONFIG = IclConfig()


@pytest.fixture
def record(document):
    return lambda n, **options: validate(RawRecord("x", document(n, **options)))


@pytest.fixture
def pool(record):
    """Ten records of each label."""

    def make(labels=("get_order", "refund", "track", "rare", NO_TOOL), **options):
        records, candidates = [], {}
        for label in labels:
            for _ in range(10):
                candidates.setdefault(label, []).append(len(records))
                tool = None if label == NO_TOOL else label
                records.append(record(len(records), tool=tool, **options))
        return ExamplePool(candidates, records.__getitem__)

    return make


def test_an_example_is_user_assistant_with_its_call_and_tool(record):
    turns = make_example(record(1)).turns
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool"]
    call = turns[1]["tool_calls"][0]
    assert isinstance(call["function"]["arguments"], str)
    assert turns[2]["tool_call_id"] == call["id"]


def test_an_example_without_a_tool_is_user_and_assistant(record):
    assert [turn["role"] for turn in make_example(record(1, tool=None)).turns] == ["user", "assistant"]


def test_an_example_keeps_what_was_looked_up_since_the_last_user_message(record):
    call = {"id": "h", "type": "function", "function": {"name": "get_order", "arguments": {"id": 1}}}
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "refund order 1"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "h", "content": "total 5"},
    ]
    turns = make_example(record(1, tool="refund", messages=messages)).turns
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "assistant", "tool"]
    assert turns[0]["content"] == "refund order 1"
    assert turns[1]["tool_calls"][0]["function"]["arguments"] == '{"id":1}'


def test_a_record_without_a_user_message_is_no_example(record):
    assert make_example(record(1, messages=[{"role": "system", "content": "x"}])) is None


def test_examples_stand_after_the_system_messages_and_change_nothing_else(record, pool):
    row = eval_row(record(99))
    row["request"]["messages"].insert(1, {"role": "developer", "content": "more rules"})
    examples = pool().choose(row["request"], CONFIG)
    made = icl_row(row, examples)
    roles = [message["role"] for message in made["request"]["messages"]]
    assert roles[:3] == ["system", "developer", "user"]
    assert made["request"]["messages"][-1] == row["request"]["messages"][-1]
    assert len(roles) == 3 + sum(map(len, examples))
    assert {**made, "request": None} == {**row, "request": None}
    assert made["request"]["tools"] == row["request"]["tools"]


def test_call_ids_are_unique_in_a_request_and_results_follow_their_calls(record, pool):
    examples = pool(labels=["get_order"]).choose(eval_row(record(99))["request"], CONFIG)
    calls = [call["id"] for turns in examples for turn in turns for call in turn.get("tool_calls", [])]
    results = [turn["tool_call_id"] for turns in examples for turn in turns if turn["role"] == "tool"]
    assert len(examples) == 3
    assert len(set(calls)) == len(calls)
    assert calls == results


def test_labels_are_shown_equally_often_also_when_there_are_more_than_places(record, pool):
    made = pool()
    request = eval_row(record(99))["request"]
    for _ in range(50):
        assert len(made.choose(request, CONFIG)) == 3
    assert made.shown == dict.fromkeys(made.labels, 30)


def test_examples_of_one_request_are_different_records(record, pool):
    made = pool(labels=["get_order", "refund"])
    config = IclConfig(max_examples=8)
    for _ in range(5):
        examples = made.choose(eval_row(record(99))["request"], config)
        assert len({turns[0]["content"] for turns in examples}) == len(examples) == 8


def test_only_offered_tools_are_shown(record, pool):
    request = eval_row(record(99))["request"]
    request["tools"] = [tool for tool in request["tools"] if tool["function"]["name"] == "refund"]
    made = pool()
    for _ in range(4):
        made.choose(request, CONFIG)
    assert set(made.shown) <= {"refund", NO_TOOL}


@pytest.mark.parametrize("spare", range(0, 240, 20))
def test_the_request_stays_within_the_budget(record, pool, spare):
    row = eval_row(record(99))
    length = 1000 + estimate_tokens(row["request"]) + spare
    config = IclConfig(max_context_length=length, reserved_tokens=1000)
    made = icl_row(row, pool().choose(row["request"], config))
    assert estimate_tokens(made["request"]) <= config.max_context_length - config.reserved_tokens


def test_fewer_than_the_minimum_is_none(record, pool):
    made = pool(labels=["get_order"])
    request = eval_row(record(99))["request"]
    one = make_example(record(1)).tokens + 5
    tight = {"max_context_length": estimate_tokens(request) + one + 100, "reserved_tokens": 100}
    assert len(made.choose(request, IclConfig(**tight, min_examples=1))) == 1
    assert made.choose(request, IclConfig(**tight, min_examples=2)) == []
    assert made.did_not_fit > 0


def test_the_report_counts_items_without_examples(pool):
    made = pool(labels=["get_order", "refund"])
    made.shown = Counter({"refund": 5})
    report = icl_report([3, 0, 2], made)
    assert (report.min, report.median, report.max) == (0, 2, 3)
    assert (report.items_without_examples, report.labels_missing) == (1, ["get_order"])


def test_not_one_example_at_all_is_an_error(record):
    empty = ExamplePool({}, {}.__getitem__)
    assert empty.choose(eval_row(record(99))["request"], CONFIG) == []
    with pytest.raises(IclImpossible):
        icl_report([0, 0], empty)


@pytest.mark.parametrize(
    "fields", [{"reserved_tokens": 32768}, {"min_examples": 4}, {"max_examples": 0}, {"shots": 3}]
)
def test_contradictions_are_refused(fields):
    with pytest.raises(ValidationError):
        IclConfig(**fields)
