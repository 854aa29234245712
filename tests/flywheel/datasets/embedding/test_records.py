"""Which records tell of retrieval, and why the others do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.flywheel.datasets.embedding.records import Passages, Retrieved, read_line
from include.flywheel.datasets.reasons import Reason


def record(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "timestamp": 1_717_200_000,
        "request": {"model": "m", "input": " where is it? ", "input_type": "query"},
        "response": {"documents": [{"text": "a"}, {"title": "B", "text": "b ", "id": 7, "clicked": True}]},
    }
    return told | changes


def read(document: Any, **options: Any) -> Any:
    return read_line(json.dumps(document).encode() + b"\n", **options)


def test_a_query_with_what_it_retrieved() -> None:
    found = read(record(topic=" refunds "), stratum_field="topic")
    assert isinstance(found, Retrieved)
    assert (found.timestamp_ms, found.query, found.stratum) == (1_717_200_000_000, "where is it?", "refunds")
    assert [tuple(one) for one in found.documents] == [("a", None, False), ("B b", "7", True)]


def test_a_request_without_a_type_is_a_query_and_one_text_may_be_a_list() -> None:
    assert read(record(request={"input": ["where is it?"]})).query == "where is it?"


@pytest.mark.parametrize("said", ["one", ["one"], [" one ", "two"]])
def test_embedded_passages_are_documents(said: Any) -> None:
    found = read(record(request={"input": said, "input_type": "passage"}, response=None))
    assert isinstance(found, Passages)
    assert found.texts == ["one", "two"][: len(found.texts)]


@pytest.mark.parametrize("word", ["used", "cited", "clicked"])
def test_any_of_three_words_says_that_it_was_of_use(word: str) -> None:
    found = read(record(response={"documents": [{"text": "a", word: True, "rank": 1}]}))
    assert found.documents[0].used


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": "now"}, Reason.NO_TIMESTAMP),
        ({"error": "down"}, Reason.FAILED_CALL),
        ({"response": {"error": {"code": 500}}}, Reason.FAILED_CALL),
        ({"request": None}, Reason.NO_REQUEST),
        ({"request": "q"}, Reason.BAD_REQUEST),
        ({"request": {"messages": [{"role": "user", "content": "hi"}]}}, Reason.CHAT),
        ({"request": {"model": "m"}}, Reason.NO_INPUT),
        ({"request": {"input": "  "}}, Reason.BAD_INPUT),
        ({"request": {"input": [1, 2]}}, Reason.BAD_INPUT),
        ({"request": {"input": []}}, Reason.BAD_INPUT),
        ({"request": {"input": ["a", "b"]}}, Reason.SEVERAL_QUERIES),
        ({"response": None}, Reason.NO_DOCUMENTS),
        ({"response": {"data": [{"embedding": [0.1]}]}}, Reason.NO_DOCUMENTS),
        ({"response": {"documents": "a"}}, Reason.BAD_DOCUMENT),
        ({"response": {"documents": [{"text": ""}]}}, Reason.BAD_DOCUMENT),
        ({"response": {"documents": [{"text": "a", "used": "yes"}]}}, Reason.BAD_DOCUMENT),
        ({"response": {"documents": [{"text": "a", "id": ["x"], "used": True}]}}, Reason.BAD_DOCUMENT),
        ({"response": {"documents": [{"text": "a", "used": False}]}}, Reason.NONE_USED),
    ],
)
def test_the_others_have_a_reason(changes: dict[str, Any], reason: Reason) -> None:
    assert read(record(**changes)) is reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]\n", Reason.NOT_OBJECT),
        (b"\xff{}\n", Reason.NOT_JSON),
        (b'{"timestamp": 17', Reason.TORN),
        (b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}\n", Reason.NOT_JSON),
    ],
)
def test_lines_that_are_no_record(line: bytes, reason: Reason) -> None:
    assert read_line(line) is reason
