"""docs/instrument.md: its examples run, its tables are complete."""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import include.instrument as package
from include.instrument import Drop, Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "instrument.md").read_text(encoding="utf-8")


def rows(header: str) -> list[list[str]]:
    """The cells of the table that begins with `header`."""
    table = PAGE.split(header)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_setting_is_there_with_its_default() -> None:
    written = {name.strip("`"): default for name, default, _ in rows("| Setting | Default | |")}
    assert written == {field.name: repr(field.default) for field in fields(Settings)}


def test_every_reason_is_there() -> None:
    written = {name for row in rows("| Reason in `dropped` | |") for name in re.findall(r"`(\w+)`", row[0])}
    assert written == {reason.value for reason in Drop}


def test_the_examples_run(
    server: Any, send_answer: Any, completion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Any, handler: Any) -> None:
        items = [{"create": {"status": 201}}] * (asked.body.count(b"\n") // 2)
        send_answer(handler, 200, json.dumps({"items": items}).encode())

    server.answer = answer
    monkeypatch.setitem(sys.modules, "flywheel_instrument", package)
    completions = SimpleNamespace(create=lambda **kwargs: completion)
    names: dict[str, Any] = {
        "client": SimpleNamespace(chat=SimpleNamespace(completions=completions)),
        "httpx": httpx,
    }
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        local = example.replace("https://logs.example.com:9200", server.url).replace("…", "k3y")
        exec(compile(ast.parse(local), "docs/instrument.md", "exec"), names)
    assert names["recorder"].flush()
    assert names["recorder"].stats() == package.Stats(2, 2, {}, 0)
    names["recorder"].close()
    [second] = [one for one in server.asked[-1].body.splitlines() if b"conversation-17" in one]
    assert json.loads(second)["trace_id"] == "request-4711"
