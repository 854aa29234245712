"""The commands for feedback, on a live database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.cli.feedback import main
from include.cli.feedback_dashboard import Watch
from include.flywheel.feedback.keys import digest_of
from include.local_stack import postgres
from include.stores.feedback import FeedbackPlace, connect, migrate

from ..feedback_database import place_of

LINES = [
    {
        "query": f"how do I change flight {n}?",
        "response": f"Open your booking {n} and choose.",
        "model": f"m{n % 2}",
        "rating": 1 if n % 3 else -1,
        "intent": "code" if n % 2 else None,
        "user_id": f"u{n % 4}",
        "category": None if n % 3 else "wrong_tool",
        "expected_answer": None if n % 6 else "Ask an agent, please do.",
    }
    for n in range(30)
]


@pytest.fixture
def place(feedback_place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch) -> FeedbackPlace:
    """The database that the environment names."""
    for name, value in variables(feedback_place).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FLYWHEEL_EXPORT_ROOT", raising=False)
    return feedback_place


def variables(place: FeedbackPlace) -> dict[str, str]:
    return {
        "POSTGRES_HOST": place.host,
        "POSTGRES_PORT": str(place.port),
        "POSTGRES_DB": place.database,
        "POSTGRES_USER": place.user,
        "POSTGRES_PASSWORD": place.password,
    }


@pytest.fixture
def filled(place: FeedbackPlace, tmp_path: Path) -> FeedbackPlace:
    file = tmp_path / "feedback.jsonl"
    file.write_text("\n".join(map(json.dumps, LINES)))
    assert main(["load", str(file)]) == 0
    return place


def ask(place: FeedbackPlace, statement: str) -> list[tuple[Any, ...]]:
    with closing(connect(place)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def test_migrate_says_what_it_did(place: FeedbackPlace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == "the schema is up to date\n"


def test_load_says_what_became_of_each_line(
    place: FeedbackPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(LINES[0]) + "\n{\n" + json.dumps(LINES[1] | {"rating": 5}) + "\n")
    assert main(["load", str(file)]) == 0
    out = capsys.readouterr().out
    assert [int(line.split()[-1]) for line in out.splitlines()[:4]] == [3, 1, 0, 2]
    assert "e.g. a.jsonl:2" in out
    assert main(["load", str(tmp_path / "none.jsonl")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_export_by_path_and_by_date(
    filled: FeedbackPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert main(["export", str(tmp_path / "out" / "my.jsonl"), "--format", "all", "--days", "2"]) == 0
    out = capsys.readouterr().out
    assert "rows read" in out
    assert (tmp_path / "out" / "my.jsonl").read_bytes().count(b"\n") == 30
    assert (tmp_path / "out" / "my.manifest.json").exists()
    monkeypatch.setenv("FLYWHEEL_EXPORT_ROOT", str(tmp_path / "root"))
    assert main(["export", "--end", "2030-01-01", "--days", "3660", "--project", "nothing"]) == 0
    assert (tmp_path / "root" / "finetuning-2030-01-01.jsonl").read_bytes() == b""


def test_database_options_go_before_the_environment(
    filled: FeedbackPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["refresh", "--database", "nowhere"]) == 1
    assert "'nowhere'" in capsys.readouterr().err
    assert main(["refresh", "--host", filled.host, "--port", str(filled.port)]) == 0
    assert "3 groups of 30 rows" not in capsys.readouterr().err


def test_refresh_makes_the_view_fresh(filled: FeedbackPlace, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(filled, "SELECT * FROM model_accuracy_by_intent") == []
    capsys.readouterr()
    assert main(["refresh"]) == 0
    assert capsys.readouterr().out == "model_accuracy_by_intent is fresh: 2 groups of 30 rows\n"


def test_a_key_is_shown_once_listed_and_revoked(
    place: FeedbackPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "list"]) == 0
    assert main(["keys", "add", "shop", "--project", "desk"]) == 0
    key = capsys.readouterr().out.splitlines()[-1]
    assert [bytes(one) for (one,) in ask(place, "SELECT digest FROM api_keys")] == [digest_of(key)]
    assert main(["keys", "list"]) == 0
    out = capsys.readouterr().out
    assert "desk" in out
    assert key not in out
    assert main(["keys", "revoke", "shop"]) == 0
    assert main(["keys", "revoke", "shop"]) == 1
    assert "no valid API key is named 'shop'" in capsys.readouterr().err


def test_archived_rows_leave_the_table_are_noted_and_can_be_loaded_again(
    filled: FeedbackPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ask(filled, "SELECT feedback_id::text, timestamp, query, rating FROM feedback ORDER BY 1")
    ask(filled, "UPDATE feedback SET metadata = '{\"a\": [1]}'")
    assert main(["archive", "--before", "2099-01-01", "--to", str(tmp_path / "old")]) == 0
    assert ask(filled, "SELECT count(*) FROM feedback") == [(0,)]
    [file] = (tmp_path / "old" / "archive").iterdir()
    assert len(file.read_bytes().splitlines()) == 30
    assert ask(filled, "SELECT kind, path, rows FROM feedback_exports") == [("archive", str(file), 30)]
    assert len(ask(filled, "SELECT * FROM feedback_export_users")) == 4
    assert main(["load", str(file)]) == 0
    after = ask(filled, "SELECT feedback_id::text, timestamp, query, rating FROM feedback ORDER BY 1")
    assert after == before
    assert main(["archive", "--before", "2020-01-01", "--to", str(tmp_path / "old")]) == 0
    assert "0 rows" in capsys.readouterr().out


def test_an_archive_that_cannot_be_noted_deletes_nothing(filled: FeedbackPlace, tmp_path: Path) -> None:
    ask(filled, "ALTER TABLE feedback_exports ADD CHECK (rows < 0) NOT VALID")
    assert main(["archive", "--before", "2099-01-01", "--to", str(tmp_path)]) == 1
    assert ask(filled, "SELECT count(*) FROM feedback") == [(30,)]
    assert list((tmp_path / "archive").iterdir()) == []


def test_without_tables_it_says_what_to_run(
    feedback_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with feedback_server.database(empty=True) as empty:
        for name, value in variables(empty).items():
            monkeypatch.setenv(name, value)
        for command in (["refresh"], ["export"], ["keys", "list"]):
            assert main(command) == 1
            assert capsys.readouterr().err


def test_the_dashboard_shows_one_frame(filled: FeedbackPlace, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["dashboard", "--once"]) == 0
    out = capsys.readouterr().out
    assert "30 ratings: 20 up, 10 down, 66.7 % [48.8, 80.8]; 4 users" in out
    assert "schema up to date" in out
    assert "wrong tool 10" in out
    [row] = [line for line in out.splitlines() if line.startswith("m0 ")]
    assert "66.7 %" in row
    assert "█" in row
    assert any(line.startswith("(none)") for line in out.splitlines())


def rendered(watch: Watch, width: int) -> list[str]:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(watch.frame(width))
    return console.export_text().splitlines()


def test_a_frame_fits_the_terminal(filled: FeedbackPlace) -> None:
    watch = Watch(filled)
    watch.read()
    bars = []
    for width in (70, 100, 160):
        lines = rendered(watch, width)
        assert max(map(len, lines)) <= width
        bars.append(max(sum(line.count(shade) for shade in "█▓░·") for line in lines))
    assert bars[0] < bars[1] <= bars[2]


def test_the_dashboard_survives_a_restart_of_the_database(
    free_port: Callable[[], int], tmp_path: Path
) -> None:
    above = "/var/tmp" if os.geteuid() == 0 else None
    folder, port = Path(tempfile.mkdtemp(prefix="flywheel-tests-", dir=above)), free_port()
    service, uri = postgres.start(folder, port, log=tmp_path / "log", env=os.environ)
    try:
        place = place_of(uri)
        migrate(place)
        watch = Watch(place)
        watch.read()
        assert "answers in" in rendered(watch, 200)[0]
        service.stop()
        watch.read()
        watch.read()
        [told, *rest] = rendered(watch, 250)
        assert told.startswith("the database does not answer since")
        assert "below: as of" in told
        assert any("0 ratings" in line for line in rest)
        service, _ = postgres.start(folder, port, log=tmp_path / "log", env=os.environ)
        watch.read()
        assert "answers in" in rendered(watch, 200)[0]
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_dashboard_goes_on_until_it_is_interrupted(filled: FeedbackPlace) -> None:
    command = [sys.executable, "-m", "include.cli.feedback", "dashboard", "--interval", "0.2"]
    shown = subprocess.Popen(
        command,
        env=os.environ | variables(filled),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert shown.stdout is not None
    try:
        first = [next(shown.stdout) for _ in range(3)]
    finally:
        shown.send_signal(signal.SIGINT)
    shown.communicate(timeout=20)
    assert shown.returncode == 130
    assert any("ratings" in line or "answers" in line for line in first)
