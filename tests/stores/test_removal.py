"""Deletes that are true: everything goes, or the run stays and says what is left."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo.database import Database

from include.flywheel.errors import StateError
from include.flywheel.runs.states import RunStatus
from include.stores import leases, runs, upkeep
from include.stores.removal import remove_run
from tests.stores.removal_place import EVERYTHING, Counted, Place, serving

DATA_STORE = {"path_regex": "^/v1/hf/", "status": 503}


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Counted]]:
    with serving(tmp_path_factory.mktemp("stand_in")) as served:
        yield served


@pytest.fixture
def place(
    _server: tuple[str, Counted],
    mongo_uri: str,
    mongo_database: Database[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    url, counted = _server
    at = urlsplit(mongo_uri)
    mongo = {"conn_type": "mongo", "host": at.hostname, "port": at.port, "schema": mongo_database.name}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(mongo))
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_STAGING_URL", tmp_path.as_uri())
    for store in (runs, leases, upkeep):
        store._open.cache_clear()
    with httpx.Client(base_url=url, timeout=30) as http:
        repository = runs.open_runs()
        one = Place(
            url, counted, mongo_database, repository, leases.open_leases(), tmp_path, http, monkeypatch
        )
        one.data_store_at(url)
        yield one
        one.mend()
    for store in (runs, leases, upkeep):
        store._open.cache_clear()


def test_nothing_of_a_run_is_left_and_nothing_of_another_is_touched(place: Place) -> None:
    job_id, other = place.write_run("gone"), place.write_run("kept")
    for one in (job_id, other):
        place.leave_everything(one)
    model = place.customize(job_id)
    assert place.left(job_id) == EVERYTHING
    removed = remove_run(job_id, "admin")
    assert (removed.left, place.left(job_id), place.runs.find(job_id)) == ([], set(), None)
    assert "nothing of it is left" in removed.message
    assert place.http.get(f"/v1/models/{model}").status_code == 404
    assert place.left(other) == EVERYTHING
    assert place.runs.find(other) is not None
    with pytest.raises(StateError, match="no run"):
        remove_run(job_id, "admin")


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING])
def test_a_live_run_is_refused(place: Place, status: RunStatus) -> None:
    job_id = place.write_run(status.value, status)
    place.leave_everything(job_id)
    with pytest.raises(StateError, match="cancel it first"):
        remove_run(job_id, "admin")
    assert place.left(job_id) == EVERYTHING
    assert place.runs.get(job_id).deletion is None


@pytest.mark.parametrize("away", ["503", "refused"])
def test_with_the_data_store_away_it_says_what_is_left_and_the_next_delete_goes_on(
    place: Place, away: str, free_port: Any
) -> None:
    job_id = place.write_run(f"away {away}")
    place.leave_everything(job_id)
    if away == "503":
        place.fault(**DATA_STORE)
    else:
        place.data_store_at(f"http://127.0.0.1:{free_port()}")
    first = remove_run(job_id, "ann")
    assert [words.partition(":")[0] for words in first.left] == ["customized models", "data set"]
    assert all(words in first.message for words in first.left)
    asked = place.runs.get(job_id).deletion
    assert asked is not None
    assert (asked.requested_by, asked.left) == ("ann", first.left)
    place.mend()
    place.data_store_at(place.url)
    assert place.left(job_id) == EVERYTHING - {"deployment", "evaluation", "staging", "lease"}
    place.fault(path_regex="^/v1/datasets/", method="DELETE", status=503)
    second = remove_run(job_id, "bob")
    assert [words.partition(":")[0] for words in second.left] == ["data set"]
    again = place.runs.get(job_id).deletion
    assert again is not None
    assert (again.requested_by, again.requested_at) == ("ann", asked.requested_at)
    assert again.tried_at > asked.tried_at
    place.mend()
    assert remove_run(job_id, "bob").left == []
    assert (place.left(job_id), place.runs.find(job_id)) == (set(), None)


def test_gpus_are_given_back_only_when_nothing_can_hold_them(place: Place) -> None:
    job_id = place.write_run("held")
    place.leave_everything(job_id)
    place.fault(path_regex="^/v1/deployment/", method="DELETE", status=503)
    left = [words.partition(":")[0] for words in remove_run(job_id, "ann").left]
    assert left == ["deployments", "GPU leases"]
    assert place.left(job_id) == {"deployment", "lease", "scores", "nims"}
    place.mend()
    assert remove_run(job_id, "ann").left == []


def test_the_limit_of_time_is_kept_and_said(place: Place) -> None:
    job_id = place.write_run("slow")
    place.leave_everything(job_id)
    removed = remove_run(job_id, "ann", 0.0)
    assert len(removed.left) == 7
    others = [words for words in removed.left if not words.startswith("GPU leases")]
    assert all("not tried" in words for words in others)
    assert remove_run(job_id, "ann", 30.0).left == []


def test_documents_wait_for_the_last_tasks_of_the_run(place: Place) -> None:
    """A run is completed at its verdict; the tasks after it would write a document anew."""
    job_id = place.write_run("verdict", steps={})
    place.leave_everything(job_id)
    removed = remove_run(job_id, "ann", 2.5)
    assert removed.left == ["documents of the run: its last tasks in Airflow are still at work"]
    assert place.left(job_id) == {"scores", "nims"}
    assert remove_run(job_id, "upkeep", dag_run_is_over=True).left == []


def test_of_a_run_whose_cluster_died_no_last_task_is_waited_for(place: Place) -> None:
    long_ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="milliseconds")
    job_id = place.write_run("dead", steps={}, finished_at=long_ago)
    assert remove_run(job_id, "ann", 2.0).left == []


def test_a_champion_stays_and_says_that_its_run_is_gone(place: Place) -> None:
    job_id = place.write_run("champion")
    place.database["champions"].insert_one({"job_id": job_id, "model": "m"})
    assert remove_run(job_id, "ann").left == []
    champion = place.database["champions"].find_one({"job_id": job_id})
    assert champion is not None
    assert (champion["model"], champion["run_deleted_at"] is not None) == ("m", True)


def killed_at(place: Place, job_id: str, number: int) -> bool:
    """Remove in a process that is killed when its request of that number was served; whether it was."""
    place.counted.requests = 0
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.read(wait, 1)
            code = 0 if not remove_run(job_id, "ann").left else 2
        finally:
            os._exit(code)
    place.counted.at = lambda n: os.kill(child, signal.SIGKILL) if n == number else None
    os.write(go, b"!")
    _, status = os.waitpid(child, 0)
    os.close(wait)
    os.close(go)
    place.counted.at = lambda _: None
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def test_killed_after_any_request_the_next_delete_finishes(place: Place) -> None:
    number, killed = 0, True
    while killed:
        number += 1
        job_id = place.write_run(f"killed {number}")
        place.leave_everything(job_id)
        killed = killed_at(place, job_id, number)
        if killed:
            document = place.runs.get(job_id)
            assert document.deletion is not None
            assert document.deletion.left
        assert remove_run(job_id, "bob").left == [] if killed else place.runs.find(job_id) is None
        assert place.left(job_id) == set()
    # Every kind of thing takes a request at least.
    assert number > 10
