"""Whatever comes, the answer is 200 or a clear 4xx. The long form: 10,000 examples for each endpoint."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from include.flywheel.feedback.models import FeedbackCreate, FeedbackUpdate
from include.web.feedback.bodies import MAX_BODY_BYTES
from include.web.feedback.exporting import ExportRequest

from .test_api import GOOD

NASTY = st.sampled_from(
    [
        *("'; DROP TABLE feedback; --", "' OR '1'='1", "$1", "%s", "\\", '"', "{0}", "\x00", "a\x00b", ""),
        *("\ud800", "\uffff", "𝄞", " ", "\n", "../../etc/passwd", "NaN", "-1", "null", "x" * 5_000),
        *(0, 1, -1, 1.0, 0.5, -0.0, 2**31, 2**63, -(2**63), 10**40, 1e308, True, False, None, [], {}),
        *(float("nan"), float("inf"), [None], {"a": {"b": []}}, ["x"] * 200, {"\x00": 1}, {"a": "\x00"}),
        *("2026-11-20", "2026-02-30", "0001-01-01", "9999-12-31T23:59:59-14:00", "hallucination", "rude"),
    ]
)
VALUE = st.one_of(
    NASTY,
    st.text(max_size=30),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
)
TEXT = st.one_of(NASTY.filter(lambda one: isinstance(one, str)), st.text(max_size=40), st.integers().map(str))
DEEP = ['{"metadata":' * 2_000, "[" * 100_000, '{"metadata": ' + '{"a":' * 150 + "1" + "}" * 151]


def examples(test: Any) -> Any:
    """200 in the gate; as many as FEEDBACK_FUZZ_EXAMPLES says by command."""
    count = int(os.environ.get("FEEDBACK_FUZZ_EXAMPLES", "200"))
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, suppress_health_check=checks)(test)


def bodies(model: Any, good: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Good bodies with some fields replaced or added, other JSON, and what is no JSON."""
    fields = st.sampled_from([*model.model_fields, "unknown", "id", "\x00", "feedback_id"])
    changed = st.dictionaries(fields, VALUE, max_size=3).map(lambda some: encoded(good | some))
    return st.one_of(
        changed,
        changed,
        changed,
        VALUE.map(encoded),
        st.binary(max_size=60),
        st.sampled_from(DEEP).map(str.encode),
    )


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    assert answer.status_code == 200 or answer.status_code in {400, 403, 404, 405, 409, 413, 422}
    if answer.status_code != 200:
        detail = answer.json()["detail"]
        assert isinstance(detail, str)
        assert 5 < len(detail) < 5_000
        # A refusal shows what was sent, which may be any words.
        sent = f"{unquote(str(answer.request.url))} {answer.request.content.decode(errors='replace')}"
        inner = [word for word in ("Traceback", "asyncpg", "psycopg", "INSERT INTO") if word not in sent]
        assert not any(word in detail for word in inner), detail


@examples
@given(body=bodies(FeedbackCreate, GOOD), key=st.one_of(st.none(), TEXT))
def test_submit(api: httpx.Client, body: bytes, key: str | None) -> None:
    headers = (
        {} if key is None else {"Idempotency-Key": quote(key[:300], errors="replace", safe=" '\"").strip()}
    )
    check(api.post("/v1/feedback", content=body, headers=headers))


@pytest.fixture(scope="module")
def row(api: httpx.Client) -> str:
    return str(api.post("/v1/feedback", json=GOOD).json()["feedback_id"])


@examples
@given(body=bodies(FeedbackUpdate, {"rating": -1}), path=st.one_of(st.none(), TEXT))
def test_update(api: httpx.Client, row: str, body: bytes, path: str | None) -> None:
    place = row if path is None else quote(path, errors="replace", safe="")
    check(api.put(f"/v1/feedback/{place}", content=body))


@examples
@given(path=TEXT)
def test_read_and_delete(api: httpx.Client, path: str) -> None:
    place = quote(path, errors="replace", safe="")
    check(api.get(f"/v1/feedback/{place}"))
    if place:
        check(api.delete(f"/v1/feedback/{place}"))


@examples
@given(
    what=st.sampled_from(["accuracy", "stats"]),
    query=st.dictionaries(st.sampled_from(["model", "intent", "project", "days", "x"]), TEXT, max_size=4),
)
def test_counts(api: httpx.Client, what: str, query: dict[str, str]) -> None:
    asked = "&".join(f"{name}={quote(value, errors='replace', safe='')}" for name, value in query.items())
    check(api.get(f"/v1/feedback/{what}?{asked}"))


@examples
@given(user=TEXT)
def test_erase(api: httpx.Client, user: str) -> None:
    check(api.delete(f"/v1/feedback?user_id={quote(user, errors='replace', safe='')}"))


@examples
@given(body=bodies(ExportRequest, {"output_path": "fuzz.jsonl"}))
@example(encoded({"model": "\x00"}))
def test_export(api: httpx.Client, body: bytes) -> None:
    check(api.post("/v1/feedback/export/finetuning", content=body))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rating", 0, "1 or -1"),
        ("rating", True, "thumbs up"),
        ("rating", "1", "1 or -1"),
        ("rating", None, "1 or -1"),
        ("query", "a\x00b", "NUL"),
        ("query", "", "empty"),
        ("query", "x" * 200_001, "200000"),
        ("category", "rude", "hallucination"),
        ("metadata", {"a": [{"b": "\x00"}]}, "metadata.a[0].b"),
        ("metadata", {"a": float("nan")}, "nan"),
        ("metadata", {"a": 10**40}, "64 bits"),
        ("metadata", {"a": "x" * 20_000}, "16384"),
        ("metadata", [1], "metadata"),
        ("memory_used", -1, "memory_used"),
        ("memory_used", 2**63, "memory_used"),
        ("tools_called", ["x"] * 101, "tools_called"),
        ("user_id", "x" * 257, "256"),
        ("unknown", 1, "`unknown`: unknown"),
    ],
)
def test_the_refusal_names_the_field_and_the_reason(
    api: httpx.Client, field: str, value: Any, said: str
) -> None:
    answer = api.post("/v1/feedback", content=encoded(GOOD | {field: value}))
    assert answer.status_code == 422
    assert field in answer.json()["detail"]
    assert said in answer.json()["detail"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: httpx.Client) -> None:
    large = b" " * (MAX_BODY_BYTES + 1)
    assert api.post("/v1/feedback", content=large).status_code == 413
    # Without a length, as it comes.
    assert api.post("/v1/feedback", content=iter([b"[" * 65_536] * 17)).status_code == 413
    deep = {"a": 1}
    for _ in range(20):
        deep = {"a": deep}  # type: ignore[dict-item]
    answer = api.post("/v1/feedback", json=GOOD | {"metadata": deep})
    assert (answer.status_code, "deeper than 10" in answer.text) == (422, True)
    assert api.get("/health").status_code == 200
