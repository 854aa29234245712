"""The seven endpoints of contracts/feedback_api.md, by hand."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

GOOD: dict[str, Any] = {
    "query": "How do I reset my password?",
    "response": "Open the settings and choose 'reset'.",
    "model": "m",
    "rating": 1,
}


def submit(api: httpx.Client, headers: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
    answer = api.post("/v1/feedback", json=GOOD | changed, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_submit_answers_as_the_contract_says(api: httpx.Client) -> None:
    found = submit(api)
    assert set(found) == {"status", "feedback_id", "id", "timestamp", "rating", "model"}
    assert (found["status"], found["rating"], found["model"]) == ("success", 1, "m")
    assert isinstance(found["id"], int)
    UUID(found["feedback_id"])
    when = datetime.fromisoformat(found["timestamp"])
    assert when.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)


def test_a_judgement_is_read_changed_and_deleted(api: httpx.Client) -> None:
    sent = {
        "reason": "no",
        "category": "wrong_tool",
        "tools_called": ["a"],
        "metadata": {"a": 1},
        "user_id": "z",
    }
    url = f"/v1/feedback/{submit(api, rating=-1, **sent)['feedback_id']}"
    found = api.get(url).json()
    assert found == found | GOOD | sent | {"rating": -1, "intent": None, "memory_used": 0, "trace_id": None}
    changed = api.put(url, json={"rating": 1, "category": None, "metadata": {"b": 2}})
    assert (changed.status_code, changed.json()["rating"]) == (200, 1)
    after = api.get(url).json()
    assert (after["rating"], after["category"], after["reason"]) == (1, None, "no")
    assert after["metadata"] == {"a": 1, "b": 2}
    deleted = api.delete(url)
    assert deleted.json() == {"status": "success", "feedback_id": found["feedback_id"]}
    for answer in (api.get(url), api.put(url, json={"rating": 1}), api.delete(url)):
        assert answer.status_code == 404
        assert found["feedback_id"] in answer.json()["detail"]
    assert api.get("/v1/feedback/not-a-uuid").status_code == 404


def test_accuracy_and_statistics_see_what_was_just_written(api: httpx.Client) -> None:
    model = f"model-{uuid4()}"
    submit(api, model=model, user_id="ann", session_id="s", memory_used=10)
    submit(api, model=model, user_id="ann", rating=-1, category="hallucination", intent="code", project="p")
    found = api.get("/v1/feedback/accuracy", params={"model": model}).json()
    assert {(one["intent"], one["project"], one["positive_feedback"]) for one in found} == {
        (None, None, 1),
        ("code", "p", 0),
    }
    assert set(found[0]) == {
        "model", "intent", "project", "total_feedback", "positive_feedback", "negative_feedback",
        "accuracy_percentage", "last_updated",
    }  # fmt: skip
    assert api.get("/v1/feedback/accuracy", params={"model": model, "intent": "code"}).json() == found[1:]
    stats = api.get("/v1/feedback/stats", params={"model": model}).json()
    assert stats == {
        "total_feedback": 2,
        "positive_count": 1,
        "negative_count": 1,
        "positive_percentage": 50.0,
        "avg_memory_used": 5.0,
        "unique_users": 1,
        "unique_sessions": 1,
        "category_counts": {"hallucination": 1},
        "days": 7,
        "filters": {"model": model},
    }
    empty = api.get("/v1/feedback/stats", params={"model": model, "intent": "", "days": 90}).json()
    assert (empty["total_feedback"], empty["days"]) == (2, 90)


def test_one_idempotency_key_is_one_row_however_many_send_it_at_once(api: httpx.Client) -> None:
    model = f"model-{uuid4()}"
    headers = {"Idempotency-Key": str(uuid4())}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: submit(api, headers, model=model), range(1_000)))
    assert len({one["feedback_id"] for one in answers}) == 1
    [row] = api.get("/v1/feedback/accuracy", params={"model": model}).json()
    assert row["total_feedback"] == 1
    again = api.post("/v1/feedback", json=GOOD | {"model": model}, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = api.post("/v1/feedback", json=GOOD | {"model": model, "rating": -1}, headers=headers)
    assert other.status_code == 409
    assert "another body" in other.json()["detail"]
    for bad in ("", "x" * 201, "ü".encode()):
        assert api.post("/v1/feedback", json=GOOD, headers={"Idempotency-Key": bad}).status_code == 422


def test_export_writes_inside_its_root_only(api: httpx.Client, exports: Path) -> None:
    project = str(uuid4())
    submit(api, project=project)
    submit(api, project=project, rating=-1, query="How do I leave this place?", expected_answer="x" * 30)
    submit(api, project=project, rating=-1, query="How do I come back again?")
    asked = {"output_path": f"weekly/{project}.jsonl", "project": project}
    answer = api.post("/v1/feedback/export/finetuning", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert set(found) == {
        "status", "output_path", "total_samples", "positive_samples", "negative_samples", "total_weight",
        "filtered_out_samples", "start_date", "end_date", "uncorrected_negative_samples",
    }  # fmt: skip
    assert (found["total_samples"], found["negative_samples"], found["total_weight"]) == (3, 2, 3.0)
    assert found["uncorrected_negative_samples"] == 1
    lines = [json.loads(line) for line in (exports / found["output_path"]).read_text().splitlines()]
    assert sorted(line["weight"] for line in lines) == [0.5, 0.5, 2.0]
    span = datetime.fromisoformat(found["end_date"]) - datetime.fromisoformat(found["start_date"])
    assert span == timedelta(days=7)
    named = api.post("/v1/feedback/export/finetuning", json={"project": project}).json()
    assert (exports / named["output_path"]).exists()
    for bad in (
        "../x.jsonl",
        "/etc/passwd",
        "a/../../x",
        "..",
        "a\x00b",
        "C:\\x",
        "s3://b/x",
        "~/x",
        "x" * 500,
    ):
        refused = api.post("/v1/feedback/export/finetuning", json={"output_path": bad})
        assert refused.status_code == 422, bad


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"start_date": "2026-13-01"}, "start_date"),
        ({"start_date": 5}, "ISO 8601"),
        ({"start_date": "2026-11-02", "end_date": "2026-11-01"}, "not before"),
        ({"end_date": "9999-12-31T23:59:59-14:00"}, "years"),
        ({"format": "csv"}, "format"),
        ({"min_query_chars": -1}, "min_query_chars"),
        ({"path": "x"}, "path"),
    ],
)
def test_an_export_that_cannot_be_is_refused(api: httpx.Client, changed: dict[str, Any], said: str) -> None:
    answer = api.post("/v1/feedback/export/finetuning", json=changed)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_erasing_a_user_names_the_exports(api: httpx.Client) -> None:
    user = f"user-{uuid4()}"
    receipt = submit(api, user_id=user, project=user)
    name = api.post("/v1/feedback/export/finetuning", json={"project": user}).json()["output_path"]
    erased = api.delete("/v1/feedback", params={"user_id": user}).json()
    assert (erased["status"], erased["deleted"]) == ("success", 1)
    [file] = erased["exports"]
    assert name.removesuffix(".jsonl") in file["path"]
    assert api.get(f"/v1/feedback/{receipt['feedback_id']}").status_code == 404
    assert api.get("/v1/feedback/stats", params={"project": user}).json()["unique_users"] == 0
    assert api.delete("/v1/feedback").status_code == 422
    assert api.delete("/v1/feedback", params={"user_id": ""}).status_code == 422


def test_the_root_lists_the_endpoints_and_health_answers(api: httpx.Client) -> None:
    endpoints = api.get("/").json()["endpoints"]
    paths = api.get("/openapi.json").json()["paths"]
    for method, path in (one.split(" ") for one in endpoints.values()):
        assert method.lower() in paths[path.partition("?")[0]]
    assert api.get("/health").json() == {"status": "healthy", "database": "connected"}
    body = paths["/v1/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"query", "response", "model", "rating"} == set(body["required"])
    assert set(paths["/v1/feedback"]["post"]["responses"]) >= {
        "200",
        "401",
        "403",
        "409",
        "413",
        "422",
        "429",
        "503",
    }
