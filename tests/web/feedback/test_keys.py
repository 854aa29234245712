"""Served with keys: who is let in, what a key reaches, how fast; and served without, to whom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.flywheel.errors import ConfigError
from include.flywheel.feedback.keys import make_key, revoke_key
from include.stores.feedback import FeedbackPlace, connect
from include.web.feedback.__main__ import main
from include.web.feedback.app import create_app
from include.web.feedback.keys import ApiKeys, Bucket, Rate, is_loopback
from include.web.feedback.opening import Feedback

from .conftest import FAST, serve
from .test_api import GOOD

KeyOf = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def guarded(place: FeedbackPlace, free_port: Callable[[], int]) -> Iterator[httpx.Client]:
    with serve(create_app(Feedback(lambda: place), rate=FAST), free_port()) as client:
        yield client


def test_nobody_comes_in_without_a_valid_key(guarded: httpx.Client, key_of: KeyOf) -> None:
    key = key_of("good")
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer fwk_guess"},
        {"Authorization": key["Authorization"][:-1]},
        {"Authorization": f"Basic {key['Authorization'].split()[1]}"},
        {"X-API-Key": "x" * 10_000},
    ):
        for method, path in (("GET", "/v1/feedback/stats"), ("DELETE", "/v1/feedback?user_id=u")):
            answer = guarded.request(method, path, headers=headers)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), headers
        assert guarded.post("/v1/feedback", content=b"{", headers=headers).status_code == 401
    assert guarded.get("/v1/feedback/stats", headers=key).status_code == 200
    shown = {"X-API-Key": key["Authorization"].split()[1]}
    assert guarded.post("/v1/feedback", json=GOOD, headers=shown).status_code == 200
    assert guarded.get("/health").status_code == 200


def test_a_key_of_one_project_reaches_nothing_else(guarded: httpx.Client, key_of: KeyOf) -> None:
    all_of_it, mine = key_of("all"), key_of("mine", "mine")
    theirs = guarded.post(
        "/v1/feedback", json=GOOD | {"project": "theirs", "user_id": "ann"}, headers=all_of_it
    )
    url = f"/v1/feedback/{theirs.json()['feedback_id']}"
    own = guarded.post("/v1/feedback", json=GOOD | {"user_id": "ann"}, headers=mine).json()
    own_url = f"/v1/feedback/{own['feedback_id']}"
    assert guarded.get(own_url, headers=mine).json()["project"] == "mine"
    for answer in (
        guarded.get(url, headers=mine),
        guarded.put(url, json={"rating": -1}, headers=mine),
        guarded.delete(url, headers=mine),
    ):
        assert answer.status_code == 404
    for answer in (
        guarded.post("/v1/feedback", json=GOOD | {"project": "theirs"}, headers=mine),
        guarded.put(own_url, json={"project": "theirs"}, headers=mine),
        guarded.put(own_url, json={"project": None}, headers=mine),
        guarded.get("/v1/feedback/stats?project=theirs", headers=mine),
        guarded.get("/v1/feedback/accuracy?project=theirs", headers=mine),
        guarded.post("/v1/feedback/export/finetuning", json={"project": "theirs"}, headers=mine),
    ):
        assert answer.status_code == 403
        assert "'mine' only" in answer.json()["detail"]
    assert guarded.get("/v1/feedback/stats", headers=mine).json()["total_feedback"] == 1
    assert {one["project"] for one in guarded.get("/v1/feedback/accuracy", headers=mine).json()} == {"mine"}
    assert guarded.delete("/v1/feedback?user_id=ann", headers=mine).json()["deleted"] == 1
    assert guarded.get(url, headers=all_of_it).status_code == 200


def test_no_project_writes_over_anothers_files(
    guarded: httpx.Client, key_of: KeyOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_EXPORT_ROOT", str(tmp_path))
    asked = {"output_path": "weekly.jsonl"}
    written = [
        guarded.post("/v1/feedback/export/finetuning", json=asked, headers=key).json()["output_path"]
        for key in (key_of("a", "mine"), key_of("b", "a/b"), key_of("c"))
    ]
    assert written[0] == "projects/mine/weekly.jsonl"
    assert written[1].startswith("projects/_=")
    assert written[2] == "weekly.jsonl"
    assert all((tmp_path / name).exists() for name in written)
    out = {"output_path": "../../weekly.jsonl"}
    refused = guarded.post("/v1/feedback/export/finetuning", json=out, headers=key_of("d", "mine"))
    assert refused.status_code == 422


def test_two_callers_idempotency_keys_never_meet(guarded: httpx.Client, key_of: KeyOf) -> None:
    answers = [
        guarded.post("/v1/feedback", json=GOOD, headers=key_of(name) | {"Idempotency-Key": "same"}).json()
        for name in ("first", "second")
    ]
    assert answers[0]["feedback_id"] != answers[1]["feedback_id"]


def test_a_key_is_stored_as_its_digest_and_can_be_revoked(place: FeedbackPlace) -> None:
    with closing(connect(place)) as connection:
        key = make_key(connection, "revoked")
        cursor = connection.cursor()
        cursor.execute("SELECT a::text FROM api_keys a")
        assert not any(key.removeprefix("fwk_") in row for (row,) in cursor.fetchall())
        with pytest.raises(ConfigError, match="named 'revoked' already"):
            make_key(connection, "revoked")
        revoke_key(connection, "revoked")
        with pytest.raises(ConfigError, match="no valid API key"):
            revoke_key(connection, "revoked")
        assert make_key(connection, "revoked") != key


async def test_a_revoked_key_is_forgotten_and_a_new_one_known_soon(place: FeedbackPlace) -> None:
    now = [0.0]
    feedback = Feedback(lambda: place)
    keys = ApiKeys(feedback, FAST, clock=lambda: now[0])
    with closing(connect(place)) as connection:
        key = make_key(connection, "short-lived")
        request: Any = type("Request", (), {"headers": {"x-api-key": key}})()
        assert (await keys.identify(request)).scope.startswith("key:")
        revoke_key(connection, "short-lived")
    now[0] = 29.0
    await keys.identify(request)
    now[0] = 31.0
    with pytest.raises(Exception, match="not valid"):
        await keys.identify(request)
    await feedback.close()


def test_beyond_its_rate_a_key_is_told_to_wait(
    place: FeedbackPlace, free_port: Callable[[], int], key_of: KeyOf
) -> None:
    key, other = key_of("fast"), key_of("other")
    with serve(create_app(Feedback(lambda: place), rate=Rate(0.001, 3)), free_port()) as client:
        answers = [client.get("/v1/feedback/accuracy", headers=key) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["Retry-After"]) > 900
        assert client.get("/v1/feedback/accuracy", headers=other).status_code == 200


def test_a_bucket_gives_what_its_rate_says() -> None:
    bucket = Bucket(Rate(per_second=10, burst=5), 0.0)
    taken = sum(bucket.take(step / 100) == 0 for step in range(1_000))
    assert taken == 5 + 99
    assert 0 < bucket.take(9.99) <= 0.1


def test_without_the_database_the_answer_is_503_and_the_server_recovers(
    feedback_server: Any, free_port: Callable[[], int]
) -> None:
    with feedback_server.database(empty=True) as made:
        found = [FeedbackPlace(made.host, free_port(), made.database, made.user, made.password)]

        class Moving(Feedback):
            async def place(self) -> FeedbackPlace:
                return found[0]

        with serve(create_app(Moving(), needs_key=False), free_port()) as client:
            for answer in (client.post("/v1/feedback", json=GOOD), client.get("/v1/feedback/stats")):
                assert answer.status_code == 503
                assert str(found[0].port) not in answer.text
            assert client.get("/health").status_code == 503
            found[0] = made
            assert "0 of 5 migrations" in client.get("/health").json()["database"]
            assert client.get("/v1/feedback/stats").status_code == 503


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])
def test_without_keys_it_is_served_on_loopback_only(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--no-auth", "--host", host])
    assert "--host must be 127.0.0.1" in capsys.readouterr().err
    assert not is_loopback(host)
    assert is_loopback("127.0.0.1")


def test_a_page_in_a_browser_is_refused_where_nobody_is_asked_for_a_key(api: httpx.Client) -> None:
    answer = api.post("/v1/feedback", json=GOOD, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_the_command_serves_what_the_environment_says(
    place: FeedbackPlace, free_port: Callable[[], int]
) -> None:
    port = free_port()
    environment = os.environ | {
        "POSTGRES_HOST": place.host,
        "POSTGRES_PORT": str(place.port),
        "POSTGRES_DB": place.database,
        "POSTGRES_USER": place.user,
        "POSTGRES_PASSWORD": place.password,
    }
    command = [sys.executable, "-X", "importtime", "-m", "include.web.feedback", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
                break
            except httpx.TransportError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert httpx.get(f"http://127.0.0.1:{port}/v1/feedback/stats").status_code == 401
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=20)
    # Airflow would cost seconds and 100 MB.
    assert "include.web.feedback.app" in said
    assert " airflow" not in said
    assert place.password not in said
