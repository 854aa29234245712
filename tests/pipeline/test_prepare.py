"""The first task settles what the run works with: the catalogue as administrators have left it by then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import set_current_context
from pymongo.errors import PyMongoError

from include.flywheel.config.conf import ResolvedConfig
from include.flywheel.config.nims import load_catalogue
from include.flywheel.config.override_documents import NimOverrides
from include.flywheel.config.profile import load_profile
from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.pipeline.prepare import prepare
from include.stores import runs as stores_runs
from include.stores.nims import open_nim_overrides

from .conftest import FakeNemo

SMALL, *OTHERS = load_profile("laptop").nims
NIM = load_catalogue()[SMALL]


class ServingNemo(FakeNemo):
    """It knows namespaces and serves no model."""

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/models"):
            return 200, {"object": "list", "data": []}
        if "/namespaces" in path:
            return 200, {"id": "flywheel"}
        return super().answer(method, path, sent)


@pytest.fixture
def overrides(runs: RunRepository, monkeypatch: pytest.MonkeyPatch) -> Iterator[NimOverrides]:
    """Those that `prepare` reads; NeMo answers meanwhile."""
    nemo = ServingNemo()
    url = f"http://127.0.0.1:{nemo.server.server_address[1]}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    assert runs
    yield open_nim_overrides()
    nemo.server.shutdown()
    nemo.server.server_close()


def prepared(run_id: str, runs: RunRepository, **conf: Any) -> ResolvedConfig:
    """Prepare a run; what it will work with."""
    conf = {"client_id": "c", "workload_id": "w", **conf}
    dag_run = SimpleNamespace(dag_id="flywheel_on_demand", run_id=run_id, clear_number=0, conf=conf)
    context: Any = {
        "dag_run": dag_run,
        "params": {},
        "ti": SimpleNamespace(try_number=1, max_tries=3),
    }
    with set_current_context(context):
        prepare()
    return ResolvedConfig.model_validate(runs.get(job(run_id)).resolved)


def job(run_id: str) -> str:
    return ids.job_id("flywheel_on_demand", run_id)


def test_an_edit_changes_the_next_run_and_not_a_past_one(
    runs: RunRepository, overrides: NimOverrides
) -> None:
    first = prepared("one", runs, nims=[SMALL])
    assert first.nims == [NIM]
    overrides.change(NIM, {"gpus": 2, "customization": None}, version=0, by="ada")
    second = prepared("two", runs, nims=[SMALL])
    assert (second.nims[0].gpus, second.nims[0].customization) == (2, None)
    assert prepared("one", runs, nims=[SMALL]) == first, "a retry keeps what the run began with"
    assert runs.get(job("one")).digests != runs.get(job("two")).digests


def test_a_disabled_nim_of_a_profile_takes_no_part_and_the_run_says_so(
    runs: RunRepository, overrides: NimOverrides
) -> None:
    overrides.change(NIM, {"enabled": False}, version=0, by="ada")
    assert [nim.name for nim in prepared("one", runs).nims] == OTHERS
    events = runs.get(job("one")).events
    assert any(event.endswith(f"{SMALL} takes no part: disabled in the NIM catalogue") for event in events)
    assert [nim.nim for nim in runs.nims(job("one"))] == OTHERS


def test_a_disabled_nim_that_is_named_is_refused_and_written_down(
    runs: RunRepository, overrides: NimOverrides
) -> None:
    overrides.change(NIM, {"enabled": False}, version=0, by="ada")
    with pytest.raises(AirflowFailException, match="which is disabled in the NIM catalogue; enable it"):
        prepared("one", runs, nims=[SMALL])
    assert "is disabled in the NIM catalogue" in (runs.get(job("one")).error or "")
    assert runs.nims(job("one")) == []


def test_a_store_that_is_away_is_for_another_try(
    monkeypatch: pytest.MonkeyPatch,
    overrides: NimOverrides,
    runs: RunRepository,
    free_port: Callable[[], int],
) -> None:
    assert overrides
    away = {"conn_type": "mongo", "host": "127.0.0.1", "port": free_port()}
    away["extra"] = json.dumps({"serverSelectionTimeoutMS": 100})
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(away))
    stores_runs._open.cache_clear()
    with pytest.raises(PyMongoError):
        prepared("one", runs)
