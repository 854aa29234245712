"""One example: where it begins, what its turns are."""

from __future__ import annotations

import json

import pytest

from include.flywheel.datasets.icl.examples import example_turns, last_told, starts, tools_in
from include.flywheel.datasets.records import Call, Record


def _record(messages, calls=(), content=""):
    return Record(
        timestamp_ms=0,
        session_id="s",
        messages=messages,
        tools=[],
        tool_choice="auto",
        content=content,
        calls=calls,
        response_id=None,
    )


def _user(text):
    return {"role": "user", "content": text}


def _called(name, arguments, call_id="h"):
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


CHAIN = [
    {"role": "system", "content": "order C-77 is an example"},
    _user("hello"),
    {"role": "assistant", "content": "hi"},
    _user("refund my last order"),
    _called("get_user", '{"name":"ada"}'),
    {"role": "tool", "tool_call_id": "h", "content": "last order C-77"},
]


def _roles(turns):
    return [turn["role"] for turn in turns]


def test_user_assistant_with_its_call_and_a_result():
    record = _record([_user("where is C-77?")], [Call("track", {"id": "C-77"}, "c9")])
    turns = example_turns(record, 0, 1)
    assert _roles(turns) == ["user", "assistant", "tool"]
    call = turns[1]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"id": "C-77"}
    assert turns[2]["tool_call_id"] == call["id"] == "example_1_1"


def test_without_a_call_user_and_assistant():
    turns = example_turns(_record([_user("positive or negative?")], content="positive"), 0, 1)
    assert [(turn["role"], turn["content"]) for turn in turns] == [
        ("user", "positive or negative?"),
        ("assistant", "positive"),
    ]


def test_what_was_looked_up_since_the_last_user_message_stays_in():
    record = _record(CHAIN, [Call("refund", {"id": "C-77"}, None)])
    assert starts(record) == [3]
    turns = example_turns(record, 3, 2)
    assert _roles(turns) == ["user", "assistant", "tool", "assistant", "tool"]
    assert tools_in(turns) == {"get_user", "refund"}
    assert turns[1]["tool_calls"][0]["id"] == turns[2]["tool_call_id"] == "example_2_1"


def test_an_argument_said_earlier_gives_a_second_longer_example():
    messages = [
        _user("refund C-77"),
        {"role": "assistant", "content": "Are you sure?"},
        _user("yes, please"),
    ]
    assert starts(_record(messages, [Call("refund", {"items": [{"id": "C-77"}]}, None)])) == [2, 0]
    assert starts(_record(messages, [Call("refund", '{"id": "C-77"}', None)])) == [2, 0]
    assert starts(_record(messages, [Call("refund", {"id": "said nowhere"}, None)])) == [2]
    assert starts(_record(messages, content="Done.")) == [2]


def test_a_value_is_found_where_it_was_said_last_and_never_in_the_instructions():
    asked_again = [_user("refund C-77"), {"role": "assistant", "content": "C-77?"}, _user("yes, C-77")]
    assert starts(_record(asked_again, [Call("refund", {"id": "C-77"}, None)])) == [2]
    instructed = [{"role": "system", "content": "C-77"}, _user("hi"), _user("yes")]
    assert starts(_record(instructed, [Call("refund", {"id": "C-77"}, None)])) == [2]


@pytest.mark.parametrize("value", ['say "no"', "two\nlines", "Zoë"])
def test_values_are_found_as_they_are_written_in_json(value):
    messages = [_user(f"it is {value}"), _user("go on")]
    assert starts(_record(messages, [Call("note", {"text": value}, None)])) == [1, 0]


def test_numbers_are_values_too_but_short_ones_say_nothing():
    messages = [_user("order 4821, 2 pieces"), _user("go on")]
    assert starts(_record(messages, [Call("order", {"number": 4821}, None)])) == [1, 0]
    assert starts(_record(messages, [Call("order", {"pieces": 2, "gift": True}, None)])) == [1]


def test_a_record_without_a_user_message_is_no_example():
    assert starts(_record([{"role": "system", "content": "x"}])) == []


def test_instructions_between_the_turns_are_left_out():
    messages = [_user("a"), {"role": "system", "content": "note"}, {"role": "developer", "content": "note"}]
    assert _roles(example_turns(_record(messages, content="b"), 0, 1)) == ["user", "assistant"]


def test_the_record_stays_as_it_is():
    record = _record(CHAIN, [Call("refund", {"id": "C-77"}, None)])
    before = json.dumps(record.messages)
    example_turns(record, 1, 1)
    assert json.dumps(record.messages) == before


def test_last_told_is_the_newest_text_and_the_tools_called():
    assert last_told(CHAIN).split("\n")[:3] == ["last order C-77", "get_user ", "refund my last order"]
    assert "example" not in last_told(CHAIN)
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert last_told([{"role": "user", "content": parts}]).strip() == "look"
    assert len(last_told([_user("a" * 5000), _user("b" * 1500)])) <= 2001
