"""Parts of requests: checked once, told apart by their bytes, equal by their meaning."""

from __future__ import annotations

import json

import pytest

from include.flywheel.datasets import pieces
from include.flywheel.datasets.pieces import NO_TOOLS, known_messages, known_tools
from include.flywheel.datasets.reasons import Invalid, Reason


def raw(value):
    return json.dumps(value).encode()


@pytest.fixture
def learn():
    return known_messages(parse_arguments=True).learn


def call(arguments):
    return {"id": "c", "type": "function", "function": {"name": "track", "arguments": arguments}}


SAME = [
    ({"role": "user", "content": "a"}, {"content": "a", "role": "user"}),
    ({"role": "assistant", "content": None}, {"role": "assistant"}),
    ({"role": "assistant", "content": ""}, {"role": "assistant", "content": None, "tool_calls": []}),
    (
        {"role": "assistant", "content": "", "tool_calls": [call('{"a": 1, "b": [2]}')]},
        {"role": "assistant", "content": None, "tool_calls": [call({"b": [2], "a": 1})]},
    ),
    (
        {"role": "assistant", "tool_calls": [call(None)]},
        {"role": "assistant", "tool_calls": [call("{}")]},
    ),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_ways_to_write_one_message_have_one_digest(learn, first, second):
    assert learn(raw(first)).digest == learn(raw(second)).digest


def test_other_messages_have_other_digests(learn):
    messages = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "a"},
        {"role": "user", "content": "a", "name": "b"},
        {"role": "user", "content": ["a"]},
        {"role": "assistant", "content": "", "tool_calls": [call('{"a": 1}')]},
        {"role": "assistant", "content": "", "tool_calls": [call('{"a": 2}')]},
    ]
    assert len({learn(raw(message)).digest for message in messages}) == len(messages)


def test_a_message_that_needs_no_change_keeps_its_bytes(learn):
    message = b'{"role":  "user", "content": "\\u00e9", "extra": {"kept": 1}}'
    assert learn(message).row == message
    assert (
        learn(b'{"role": "system", "content": "s"}').opening
        == b'{"messages":[{"role": "system", "content": "s"}'
    )


def test_arguments_become_objects_in_the_row_and_are_remembered_as_logged(learn):
    piece = learn(raw({"role": "assistant", "tool_calls": [call('{"b":  2, "a": 1}')]}))
    assert json.loads(piece.row)["tool_calls"][0]["function"]["arguments"] == {"b": 2, "a": 1}
    assert json.loads(piece.texts) == '{"b":  2, "a": 1}'


def test_what_is_invalid_is_invalid_each_time(learn):
    for _ in range(2):
        with pytest.raises(Invalid) as refused:
            learn(b'{"role": "robot", "content": ""}')
        assert refused.value.reason is Reason.BAD_MESSAGE


def test_memory_is_bounded_and_what_was_forgotten_is_learnt_anew(monkeypatch):
    monkeypatch.setattr(pieces, "CACHED_BYTES", 20_000)
    known = known_messages(parse_arguments=True)
    first = known.learn(raw({"role": "user", "content": "first"}))
    for number in range(200):
        known.learn(raw({"role": "user", "content": f"message {number}"}))
        assert len(known.known) < 40
    assert known.learn(raw({"role": "user", "content": "first"})) == first


@pytest.mark.parametrize("nothing", [b"", b"null", b"[]"])
def test_no_tools(nothing):
    assert known_tools().learn(nothing) == NO_TOOLS


def test_tools_in_another_order_are_other_tools():
    def tools(*names):
        return raw([{"type": "function", "function": {"name": name}} for name in names])

    known = known_tools()
    assert known.learn(tools("a", "b")).digest != known.learn(tools("b", "a")).digest
    assert known.learn(tools("a", "b")).names == {"a", "b"}
