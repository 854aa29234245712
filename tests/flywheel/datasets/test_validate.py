"""Every raw record is a record or has one reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.datasets.reasons import Reason
from include.flywheel.datasets.records import Call, Record, read_record
from include.flywheel.datasets.validate import Validator


def check(document, **options):
    """The record of a document (or of a line), or the reason."""
    line = document if isinstance(document, bytes) else json.dumps(document).encode() + b"\n"
    found = Validator(**options)(line)
    if isinstance(found, Reason):
        return found
    return read_record(found.head + found.middle + found.tail, found.side)


def test_a_whole_record(document):
    found = check(document(3, session="s", latency_ms=4, unknown={"kept": 1}))
    assert isinstance(found, Record)
    assert (found.session_id, found.label, found.content) == ("s", "get_order", "")
    assert found.calls == [Call("get_order", {"id": 3}, "c3")]
    assert found.tool_choice == "auto"
    assert found.tools == document(3)["request"]["tools"]
    assert found.messages == document(3)["request"]["messages"]


BROKEN = [
    (Reason.NO_TIMESTAMP, lambda d: d.pop("timestamp")),
    (Reason.FAILED_CALL, lambda d: d.update(error="timeout")),
    (Reason.FAILED_CALL, lambda d: d["response"].update(error={"code": 500})),
    (Reason.NO_REQUEST, lambda d: d.pop("request")),
    (Reason.NO_REQUEST, lambda d: d.update(request={})),
    (Reason.BAD_REQUEST, lambda d: d.update(request="text")),
    (Reason.BAD_REQUEST, lambda d: d["request"].update(messages="text")),
    (Reason.EMBEDDING, lambda d: d.update(request={"model": "e", "input": "text"})),
    (Reason.NO_MESSAGES, lambda d: d["request"].update(messages=[])),
    (Reason.NO_MESSAGES, lambda d: d["request"].pop("messages")),
    (Reason.BAD_MESSAGE, lambda d: d["request"]["messages"].append("hello")),
    (Reason.BAD_MESSAGE, lambda d: d["request"]["messages"].append({"role": "robot", "content": ""})),
    (Reason.BAD_MESSAGE, lambda d: d["request"]["messages"].append({"role": "user"})),
    (Reason.BAD_MESSAGE, lambda d: d["request"]["messages"].append({"role": "user", "content": 5})),
    (Reason.BAD_CALL, lambda d: d["request"]["messages"].append({"role": "assistant", "tool_calls": "x"})),
    (Reason.BAD_CALL, lambda d: d["request"]["messages"].append({"role": "assistant", "tool_calls": [{}]})),
    (Reason.BAD_TOOLS, lambda d: d["request"].update(tools={"name": "x"})),
    (Reason.BAD_TOOLS, lambda d: d["request"].update(tools=[{"function": {"name": ""}}])),
    (Reason.NO_RESPONSE, lambda d: d.pop("response")),
    (Reason.NO_RESPONSE, lambda d: d.update(response=None)),
    (Reason.BAD_RESPONSE, lambda d: d.update(response=[1])),
    (Reason.BAD_RESPONSE, lambda d: d["response"].update(choices={"0": 1})),
    (Reason.NO_CHOICES, lambda d: d["response"].update(choices=[])),
    (Reason.BAD_ANSWER, lambda d: d["response"].update(choices=[{"text": "x"}])),
    (Reason.BAD_ANSWER, lambda d: d["response"]["choices"][0]["message"].update(role="user")),
    (Reason.BAD_ANSWER, lambda d: d["response"]["choices"][0]["message"].update(content=[1])),
    (Reason.EMPTY_ANSWER, lambda d: d["response"]["choices"][0].update(message={"content": " "})),
    (Reason.BAD_CALL, lambda d: _call(d).pop("name")),
    (Reason.BAD_ARGUMENTS, lambda d: _call(d).update(arguments="{torn")),
    (Reason.BAD_ARGUMENTS, lambda d: _call(d).update(arguments="[1]")),
    (Reason.BAD_ARGUMENTS, lambda d: _call(d).update(arguments=7)),
    (Reason.UNKNOWN_TOOL, lambda d: _call(d).update(name="launch")),
    (Reason.UNKNOWN_TOOL, lambda d: d["request"].pop("tools")),
]


def _call(document):
    return document["response"]["choices"][0]["message"]["tool_calls"][0]["function"]


@pytest.mark.parametrize(("reason", "damage"), BROKEN)
def test_each_damage_has_its_reason(document, reason, damage):
    damaged = document(1)
    damage(damaged)
    assert check(damaged) is reason


UNDECODABLE = [
    (b"", Reason.TORN),
    (b'{"timestamp": 17', Reason.TORN),
    (b'{"timestamp": 17, "note": "caf\xc3', Reason.TORN),
    (b'{"timestamp": 17\n', Reason.NOT_JSON),
    (b"[1, 2]\n", Reason.NOT_OBJECT),
    (b'"text"\n', Reason.NOT_OBJECT),
    (b"\xff\xfe\n", Reason.NOT_JSON),
    (b"[" * 5000 + b"]" * 5000 + b"\n", Reason.NOT_JSON),
]


@pytest.mark.parametrize(("line", "reason"), UNDECODABLE)
def test_undecodable_lines(line, reason):
    assert check(line) is reason


def test_a_whole_line_without_its_end_is_a_record(document):
    assert isinstance(check(json.dumps(document(1)).encode()), Record)


@pytest.mark.parametrize("depth", [200, 300, 900])
def test_deep_nesting_is_counted_or_kept(document, depth):
    deep = document(1)
    deep["request"]["messages"].append({"role": "user", "content": json.loads("[" * depth + "]" * depth)})
    found = check(deep)
    assert isinstance(found, Record) or found in (Reason.TOO_DEEP, Reason.NOT_JSON)


@pytest.mark.parametrize("damage", [b"\xff", b"\xed\xa0\x80"])
def test_bad_bytes_inside_a_message_are_no_json(document, damage):
    line = json.dumps(document(1)).encode().replace(b"question 1", b"question " + damage)
    assert check(line + b"\n") is Reason.NOT_JSON


@pytest.mark.parametrize("arguments", [None, "", "{}", {}])
def test_a_call_without_arguments_has_empty_ones(document, arguments):
    damaged = document(1)
    _call(damaged)["arguments"] = arguments
    assert check(damaged).calls[0].arguments == {}


def test_arguments_as_text_and_as_object_are_the_same_request_and_answer(document):
    def with_history(arguments):
        made = document(1, arguments=arguments)
        call = {"id": "h", "type": "function", "function": {"name": "track", "arguments": arguments}}
        made["request"]["messages"].append({"role": "assistant", "content": None, "tool_calls": [call]})
        return check(made)

    text, parsed = with_history('{"b": 1, "a": [2]}'), with_history({"a": [2], "b": 1})
    assert text.digest == parsed.digest
    assert text.calls == parsed.calls


def test_arguments_are_left_as_logged_on_request(document):
    found = check(document(1, arguments="{torn"), parse_arguments=False)
    assert found.calls[0].arguments == "{torn"


def test_null_and_empty_tool_calls_in_the_history_are_dropped(document):
    found = document(1)
    found["request"]["messages"] += [
        {"role": "assistant", "content": "a", "tool_calls": None},
        {"role": "assistant", "content": "b", "tool_calls": []},
    ]
    assert all("tool_calls" not in message for message in check(found).messages)


@pytest.mark.parametrize(("session", "kept"), [("s", "s"), (7, "7"), ("", None), (None, None), ([1], None)])
def test_sessions(document, session, kept):
    assert check(document(1) | {"session_id": session}).session_id == kept


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


def _paths(value, path=()):
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _paths(inner, (*path, key))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), replacement=_json)
def test_no_damage_crashes(document, data, replacement):
    damaged = json.loads(json.dumps(document(1, session="s")))
    path = data.draw(st.sampled_from([path for path in _paths(damaged) if path]))
    target = damaged
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = replacement
    found = check(damaged)
    assert isinstance(found, Record | Reason)
    if isinstance(found, Record):
        assert found.digest
