"""Assembled streams: however an answer was cut into chunks, the answer is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.instrument.assembly import Assembly

BIG = 10**6


def assembled(deltas: list[dict[str, Any]], finish_reason: str | None = "stop") -> dict[str, Any]:
    """The message of deltas of one choice."""
    assembly = Assembly(BIG)
    for delta in deltas:
        assembly.add({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    response = assembly.response()
    assert response is not None
    message: dict[str, Any] = response["choices"][0]["message"]
    return message


def call(name: str | None = None, arguments: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"tool_calls": [{**rest, "function": {"name": name, "arguments": arguments}}]}


def calls_of(message: dict[str, Any]) -> list[tuple[Any, str, Any]]:
    return [
        (one["id"], one["function"]["name"], one["function"]["arguments"]) for one in message["tool_calls"]
    ]


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.text(max_size=5), max_size=8),
    arguments=st.lists(st.lists(st.text(max_size=4)), max_size=3),
)
def test_the_pieces_make_the_whole(pieces: list[str], arguments: list[list[str]]) -> None:
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in pieces]
    for number, parts in enumerate(arguments):
        deltas.append(call("f", "", index=number, id=f"t-{number}"))
        deltas += [call(arguments=part, index=number) for part in parts]
    message = assembled(deltas)
    assert (message["content"] or "") == "".join(pieces)
    wanted = [(f"t-{number}", "f", "".join(parts)) for number, parts in enumerate(arguments)]
    assert (calls_of(message) if "tool_calls" in message else []) == wanted


@pytest.mark.parametrize(
    "deltas",
    [
        [
            call("f", '{"a"', index=0, id="t-1"),
            call("f", ":1}", index=0, id="t-1"),
            call("g", "{}", index=1, id="t-2"),
        ],
        [call("f", '{"a"', id="t-1"), call(arguments=":1}"), call("g", "{}", id="t-2")],
        [call("f", '{"a":1}', index=0, id="t-1"), call("g", "{}", index=0, id="t-2")],
    ],
    ids=["name and id repeated", "no index", "one index for all"],
)
def test_servers_differ_in_how_they_send_calls(deltas: list[dict[str, Any]]) -> None:
    assert calls_of(assembled(deltas)) == [("t-1", "f", '{"a":1}'), ("t-2", "g", "{}")]


def test_arguments_may_come_as_an_object() -> None:
    delta = {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": {"a": 1}}}]}
    assert calls_of(assembled([delta])) == [("t", "f", {"a": 1})]


def test_the_old_form_of_a_call() -> None:
    deltas = [{"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}}]
    assert assembled(deltas)["function_call"] == {"name": "f", "arguments": "{}"}


def test_choices_are_kept_apart_and_all_must_finish() -> None:
    assembly = Assembly(BIG)
    for index, finish_reason in [(1, None), (0, "stop"), (1, "length")]:
        assert not assembly.finished
        delta = {"content": str(index), "reasoning_content": "r"}
        assembly.add({"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]})
    assert assembly.finished
    response = assembly.response()
    assert response is not None
    assert [(one["index"], one["finish_reason"]) for one in response["choices"]] == [
        (0, "stop"),
        (1, "length"),
    ]
    assert response["choices"][1]["message"]["content"] == "11"
    assert response["choices"][1]["message"]["reasoning_content"] == "rr"


def test_nothing_is_no_response() -> None:
    assembly = Assembly(BIG)
    assembly.add({"choices": [], "usage": None})
    assembly.add(None)
    assert assembly.response() is None
    assert not assembly.finished
