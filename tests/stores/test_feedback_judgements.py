"""Feedback of a live table in the data set of a workload."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from include.flywheel.config.workload import Workload
from include.flywheel.datasets.build import Feedback, build_datasets
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import ConfigError
from include.flywheel.feedback.load import load_feedback, wanted_traces
from include.flywheel.feedback.lookup import find_traces
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery
from include.stores.feedback import FeedbackPlace, connect
from include.stores.feedback_judgements import find_feedback

SHARED = Path(__file__).parents[3] / "shared" / "data"


def workload(use: str = "filter", **names: str) -> Workload:
    ids = {"client_id": "acme", "workload_id": "desk"} | names
    return Workload.model_validate(ids | {"feedback": {"use": use}})


@pytest.fixture
def place(feedback_place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch) -> FeedbackPlace:
    configure(feedback_place, monkeypatch)
    return feedback_place


def configure(place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "postgres",
        "host": place.host,
        "port": place.port,
        "schema": place.database,
        "login": place.user,
        "password": place.password,
    }
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_FEEDBACK", json.dumps(connection))


def load(place: FeedbackPlace, lines: list[dict[str, Any]], found: Any = None) -> None:
    with closing(connect(place)) as connection:
        ledger = load_feedback(connection, [json.dumps(line).encode() for line in lines], found or {})
    assert ledger.rejected == {}


def row(**fields: Any) -> dict[str, Any]:
    return {"query": "q", "response": "r", "model": "m", "rating": -1} | fields


def test_only_judgements_of_the_workload_or_of_a_bare_trace_count(place: FeedbackPlace) -> None:
    load(
        place,
        [
            row(trace_id="mine", client_id="acme", workload_id="desk"),
            row(trace_id="of-the-client", client_id="acme"),
            row(trace_id="bare"),
            row(trace_id="theirs", client_id="other", workload_id="desk"),
            row(trace_id="elsewhere", client_id="acme", workload_id="shop"),
            row(query="no trace", client_id="acme", workload_id="desk"),
            row(query="nothing to join by"),
        ],
    )
    found = find_feedback(workload())
    assert found is not None
    assert set(found.judgements.by_trace) == {"mine", "of-the-client", "bare"}
    assert (len(found.judgements.by_text), found.judgements.read) == (1, 4)


def test_off_and_no_database_mean_no_feedback(place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_feedback(workload("off")) is None
    monkeypatch.delenv("AIRFLOW_CONN_FLYWHEEL_FEEDBACK")
    monkeypatch.delenv("POSTGRES_HOST", raising=False)
    assert find_feedback(workload()) is None


def test_a_database_without_tables_or_away_is_told(
    feedback_server: Any, monkeypatch: pytest.MonkeyPatch, free_port: Any
) -> None:
    with feedback_server.database(empty=True) as empty:
        configure(empty, monkeypatch)
        with pytest.raises(ConfigError, match="feedback migrate"):
            find_feedback(workload())
    monkeypatch.setenv(
        "AIRFLOW_CONN_FLYWHEEL_FEEDBACK",
        json.dumps({"conn_type": "postgres", "host": "127.0.0.1", "port": free_port()}),
    )
    with pytest.raises(OSError, match="does not let"):
        find_feedback(workload())


@pytest.fixture(scope="module")
def airline(tmp_path_factory: pytest.TempPathFactory) -> FileLogStore:
    if not SHARED.is_dir():
        pytest.skip("the shared data are not here")
    store = FileLogStore(tmp_path_factory.mktemp("airline"))
    with gzip.open(SHARED / "airline_logs.jsonl.gz") as logs:
        store.append(json.loads(line) for line in logs)
    return store


def build(
    store: FileLogStore, feedback: Feedback | None, workload_id: str, folder: Path
) -> tuple[Any, dict[str, bytes]]:
    files: dict[str, bytes] = {}

    @contextmanager
    def output(name: str) -> Iterator[BinaryIO]:
        buffer = io.BytesIO()
        yield buffer
        files[name] = buffer.getvalue()

    spec = DatasetSpec(split=SplitConfig(limit=None, eval_size=100), icl=None, seed=3)
    query = LogQuery(client_id="skyline", workload_id=workload_id)
    return build_datasets(store, query, spec, output, folder, feedback=feedback), files


@pytest.mark.parametrize(("name", "judged"), [("airline_tool_calls", 51), ("airline_replies", 149)])
def test_the_airline_feedback_changes_the_training_split(
    place: FeedbackPlace, airline: FileLogStore, tmp_path: Path, name: str, judged: int
) -> None:
    lines = (SHARED / "airline_feedback.jsonl").read_bytes().splitlines()
    found = find_traces(airline, "skyline", None, wanted_traces(lines))
    load(place, [json.loads(line) for line in lines], found)
    plain, before = build(airline, None, name, tmp_path)
    results = {}
    for use in ("filter", "weight"):
        feedback = find_feedback(workload(use, client_id="skyline", workload_id=name))
        report, after = build(airline, feedback, name, tmp_path)
        told = report.feedback
        assert told.read == judged
        assert told.not_found == 0
        assert told.removed > 0
        assert told.liked > 0
        assert len(told.holdout) == told.eval > 0
        assert report.ledger.train == plain.ledger.train - told.removed
        assert (after["eval.jsonl"], after["val.jsonl"]) == (before["eval.jsonl"], before["val.jsonl"])
        rows = after["train.jsonl"].splitlines()
        assert set(rows) < set(before["train.jsonl"].splitlines())
        assert len(rows) == report.ledger.train + told.copies
        results[use] = told
    assert results["filter"].copies == 0
    assert results["weight"].copies == results["weight"].liked
    assert results["weight"].removed == results["filter"].removed
