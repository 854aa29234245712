"""docs/feedback.md: its commands, its requests and its SQL run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from include.cli.feedback import main
from include.flywheel.config.workload import Workload
from include.flywheel.datasets.feedback.use import FeedbackUse
from include.flywheel.logs.files import FileLogStore
from include.stores.feedback import FeedbackPlace, connect

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Desk:
    """A database, an API on it, and a folder to work in."""

    place: FeedbackPlace
    folder: Path
    variables: dict[str, str]


@pytest.fixture
def desk(
    feedback_place: FeedbackPlace,
    tmp_path: Path,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    port = free_port()
    variables = {
        "POSTGRES_HOST": feedback_place.host,
        "POSTGRES_PORT": str(feedback_place.port),
        "POSTGRES_DB": feedback_place.database,
        "POSTGRES_USER": feedback_place.user,
        "POSTGRES_PASSWORD": feedback_place.password,
        "FLYWHEEL_EXPORT_ROOT": str(tmp_path / "exports"),
        "FEEDBACK_URL": f"http://127.0.0.1:{port}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["keys", "add", "test"]) == 0
    variables["FEEDBACK_KEY"] = capsys.readouterr().out.strip()
    environment = os.environ | variables
    command = [sys.executable, "-m", "include.web.feedback", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait(variables["FEEDBACK_URL"], server)
        yield Desk(feedback_place, tmp_path, variables)
    finally:
        server.terminate()
        server.wait(10)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail("the API did not start")
        time.sleep(0.05)


def test_every_block_runs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    requests = blocks("bash")[0]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", requests.replace("curl -sS", "curl -sS --fail-with-body")],
        env=os.environ | desk.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"negative_count":1' in done.stdout
    names = {key: desk.variables[key] for key in ("FEEDBACK_URL", "FEEDBACK_KEY")}
    [example] = blocks("python")
    exec(compile(example, "docs/feedback.md", "exec"), names)
    assert capsys.readouterr().out.strip() == "2"
    assert (desk.folder / "exports" / "mine" / "seats.manifest.json").exists()
    for block in blocks("shell"):
        for command in block.strip().splitlines():
            python, flag, module, *arguments = shlex.split(command)
            assert (python, flag, module) == ("python", "-m", "include.cli.feedback")
            assert main(arguments) == 0, command
    assert (desk.folder / "mine" / "week.jsonl").exists()
    with closing(connect(desk.place)) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO feedback (query, response, model, rating) VALUES ('q', 'r', 'm', -1)")
        for statement in "".join(blocks("sql")).split(";\n"):
            if statement.strip():
                cursor.execute(statement)
                assert cursor.fetchall(), statement


def test_lines_that_name_a_trace_load_as_said(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [loading] = [block for block in blocks("bash") if " load " in block]
    (tmp_path / "log_store").mkdir()
    record = {
        "timestamp": 1717200014000,
        "client_id": "skyline",
        "workload_id": "w",
        "trace_id": "t1",
        "request": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
        "response": {"choices": [{"message": {"role": "assistant", "content": "Good day."}}]},
    }
    FileLogStore(tmp_path / "log_store").append([record])
    (tmp_path / "airline_feedback.jsonl").write_text(
        json.dumps({"trace_id": "t1", "model": "m", "rating": 1})
    )
    assert main(shlex.split(loading)[3:]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["stored", "1"]


def test_the_uses_are_those_of_a_workload() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \(default\))? \|", PAGE.split("| `feedback.use` | |")[1], re.MULTILINE)
    assert rows[: len(FeedbackUse)] == [use.value for use in FeedbackUse]
    for use in FeedbackUse:
        said = yaml.safe_load(f"client_id: c\nworkload_id: w\nfeedback: {{use: {use.value}}}\n")
        assert Workload.model_validate(said).feedback.use is use
    assert Workload(client_id="c", workload_id="w").feedback.use is FeedbackUse.FILTER
