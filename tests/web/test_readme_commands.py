"""The commands of the README's sections about our REST APIs, as a shell runs them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from .conftest import StartServer

README = Path(__file__).resolve().parents[2] / "README.md"


def _commands(title: str) -> str:
    section = README.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    [commands] = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    return f"\n{commands}"


def test_the_commands_work_as_they_stand(api_server: StartServer) -> None:
    server = api_server()
    commands = _commands("Jobs API") + _commands("Feedback")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace("\napi ", "\necho; api ")],
        env=server.environment
        | {"AIRFLOW": server.url, "LOGIN": "user", "PASSWORD": server.passwords["user"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    shown, cancelled, deleted, judged, accuracy = answers
    assert shown["workload_id"] == "support_agent"
    assert shown["status"] == "pending"
    assert cancelled["id"] == shown["id"]
    # Without a scheduler nothing ends what was cancelled.
    assert "cancel" in deleted["detail"]
    assert judged["status"] == "success"
    assert "gpt-4o" in {one["model"] for one in accuracy}
