"""`python -m include.cli.runs`: which run is meant, and what is shown, listed and followed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest

from include.cli import runs as command
from include.flywheel.runs.documents import NimDocument, RunDocument
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus, StageName
from include.stores.leases import open_leases

DAG = "flywheel__acme__desk"
JOBS = ["0a" * 12, "0b" * 12, "ff" * 12]
Said = Callable[..., tuple[int, str, str]]
Write = Callable[..., RunDocument]


@pytest.mark.parametrize("name", [JOBS[1], "0b", "0B0B", "manual__0b"])
def test_a_run_is_found_by_job_id_its_beginning_and_the_dag_runs_id(
    runs: RunRepository, write: Write, say: Said, name: str
) -> None:
    for job in JOBS:
        write(job)
    code, out, _ = say("show", name, "--json")
    assert code == 0
    assert json.loads(out)["run"]["job_id"] == JOBS[1]


def test_latest_is_the_newest(runs: RunRepository, write: Write, say: Said) -> None:
    assert (
        say("show", "latest")[2]
        == "error: no run is written down yet: start one, for example with scripts/demo\n"
    )
    for job in reversed(JOBS):
        write(job)
    assert say("show", "latest")[1].startswith(f"Run manual__ff of {DAG}: running\n")


def test_an_unknown_run_names_the_nearest_and_an_unclear_one_the_candidates(
    runs: RunRepository, write: Write, say: Said
) -> None:
    assert "no run is written down yet" in say("show", "nothing")[2]
    for job in JOBS:
        write(job)
    code, _, error = say("show", "manual__fg")
    assert code == 1
    assert f"no run is called 'manual__fg'; the nearest is {JOBS[2]} (manual__ff of {DAG}, " in error
    code, _, error = say("show", "0")
    assert code == 1
    assert "give the job id" in error
    assert JOBS[0] in error
    assert JOBS[1] in error
    assert JOBS[2] not in error


def test_the_same_dag_run_id_of_two_dags_is_unclear(runs: RunRepository, write: Write, say: Said) -> None:
    write(JOBS[0], run_id="nightly")
    write(JOBS[1], run_id="nightly", dag_id="flywheel__other__desk")
    assert "'nightly' may be several runs" in say("show", "nightly")[2]


def test_show_json_is_what_is_stored(runs: RunRepository, write: Write, say: Said) -> None:
    document = write(simulated=True)
    shown = json.loads(say("show", "latest", "--json")[1])
    assert RunDocument.model_validate(shown["run"]) == document
    assert [NimDocument.model_validate(one) for one in shown["nims"]] == runs.nims(document.job_id)


def test_a_terminal_that_is_not_utf_8_gets_plain_characters(
    runs: RunRepository, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"submitted_at": "2026-03-01T09:00:00+00:00", "started_at": "2026-03-01T09:01:00+00:00"}
    run = write(error="café")
    runs.set_stage(run.job_id, "meta-a", StageName.BASE_EVAL, **times)
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, encoding="ascii", write_through=True))
    assert command.main(["show", "latest"]) == 0
    shown = written.getvalue().decode("ascii")
    assert "why: caf?" in shown
    assert "~ pending at the service" in shown
    assert "#" in shown


def test_list_filters_and_limits_newest_first(runs: RunRepository, write: Write, say: Said) -> None:
    write(JOBS[0], status=RunStatus.FAILED, error="why")
    write(JOBS[1], workload_id="mail")
    write(JOBS[2], client_id="rival", decision={"verdict": "PROMOTABLE"}, winners=[{"nim": "meta/a"}])

    def listed(*filters: str) -> list[str]:
        return [one["job_id"] for one in json.loads(say("list", "--json", *filters)[1])]

    assert listed() == JOBS[::-1]
    assert listed("--limit", "1") == JOBS[2:]
    assert listed("--client", "acme") == [JOBS[1], JOBS[0]]
    assert listed("--workload", "desk") == [JOBS[2], JOBS[0]]
    assert listed("--client", "acme", "--workload", "mail") == [JOBS[1]]
    assert listed("--status", "failed") == [JOBS[0]]
    lines = [line.split() for line in say("list")[1].splitlines()]
    assert lines[1][:5] == [JOBS[2][:12], "running", "rival", "/", "desk"]
    assert lines[1][-3:] == ["PROMOTABLE", "meta/a", "manual__ff"]
    assert say("list", "--client", "nobody")[1] == "no run fits\n"


@pytest.mark.parametrize("arguments", [["list", "--status", "done"], ["list", "--limit", "0"], ["show"], []])
def test_wrong_usage_is_said(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("status", "code"), [(RunStatus.COMPLETED, 0), (RunStatus.FAILED, 1), (RunStatus.CANCELLED, 1)]
)
def test_watch_ends_with_the_run(
    runs: RunRepository, write: Write, say: Said, status: RunStatus, code: int
) -> None:
    write(status=status, error=None if code == 0 else "[/why]")
    ended, out, _ = say("watch", "latest")
    assert ended == code
    assert out.splitlines()[-1] == f"{status.value}{': [/why]' if code else ''}"


def test_watch_waits_for_a_retry_that_has_not_begun(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write(status=RunStatus.FAILED)
    looks = iter(["queued", "running", "success"])

    def state(*_: Any) -> tuple[int, Any]:
        if (now := next(looks)) == "running":
            runs.begin_pass(run.job_id, 1)
            runs.set_status(run.job_id, RunStatus.COMPLETED)
        return 200, {"state": now}

    airflow.answer = lambda *request: (201, {"access_token": "t"}) if "token" in request[1] else state()
    assert say("watch", "latest")[0] == 0
    assert next(looks, None) is None


def test_watch_goes_on_by_the_document_where_airflow_is_down(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    write(status=RunStatus.COMPLETED)
    airflow.instead = (500, "down")
    code, out, _ = say("watch", "latest")
    assert code == 0
    assert "followed by its document alone" in out


def test_leases_held_and_waiting(runs: RunRepository, write: Write, say: Said) -> None:
    assert say("leases")[1] == "no GPUs are leased, and nobody waits for any\n"
    run = write()
    leases = open_leases()
    for slug in ("meta-a", "meta-b"):
        leases.take(
            LeaseRequest(job_id=run.job_id, slug=slug, kind=LeaseKind.SERVING, gpus=2, total=3, try_number=1)
        )
    leases.take(
        LeaseRequest(job_id="9" * 24, slug="x", kind=LeaseKind.TRAINING, gpus=1, total=3, try_number=1)
    )
    head, _, *rows = say("leases")[1].splitlines()
    assert head == "3 of 3 GPUs are leased"
    assert [row.split()[0] for row in rows] == ["holds", "holds", "waits"]
    assert sum(f"{run.job_id} (acme / desk)" in row for row in rows) == 2
    assert sum(f"{'9' * 24} (no document)" in row for row in rows) == 1


def test_a_mongodb_that_is_down_is_said(
    say: Said, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    fields = {
        "conn_type": "mongo",
        "host": "127.0.0.1",
        "port": free_port(),
        "extra": {"serverSelectionTimeoutMS": 100},
    }
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(fields))
    code, _, error = say("list")
    assert code == 1
    assert "is MongoDB up, and is connection flywheel_runs right?" in error
