"""Builders of per-item scores and of evaluators' archives."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage

Row = dict[str, Any]


def _scored(
    values: Sequence[float],
    *,
    nim: str = "meta/small",
    stage: Stage = Stage.BASE,
    per_conversation: int = 1,
    errors: Sequence[int] = (),
    **overrides: Any,
) -> StageScores:
    ids = [f"{index:016x}" for index in range(len(values))]
    fields: dict[str, Any] = {
        "nim": nim,
        "model": nim,
        "stage": stage,
        "scores": {PRIMARY_SCORE: [float(value) for value in values]},
        "item_ids": ids,
        "conversation_ids": [f"c{index // per_conversation:05d}" for index in range(len(values))],
        "error_item_ids": [ids[index] for index in errors],
    }
    return StageScores(**(fields | overrides))


def _row(number: int, name: float | None = 1.0, args: float | None = 0.0, **item: Any) -> Row:
    return {
        "id": number,
        "item": {"item_id": f"{number:016x}", "conversation_id": f"c{number // 2}", **item},
        "output_text": "",
        "response": {"role": "assistant", "content": "", "tool_calls": []},
        "tool-calling-accuracy": {
            "function_name_accuracy": name,
            "function_name_and_args_accuracy": args,
        },
    }


def _archive(content: Sequence[Row] | bytes, member: str = "results.json", copies: int = 1) -> io.BytesIO:
    data = content if isinstance(content, bytes) else json.dumps(list(content)).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for copy in range(copies):
            opened.writestr(f"{copy}/{member}" if copies > 1 else member, data)
    file.seek(0)
    return file


@pytest.fixture
def scored() -> Callable[..., StageScores]:
    return _scored


@pytest.fixture
def row() -> Callable[..., Row]:
    return _row


@pytest.fixture
def archive() -> Callable[..., io.BytesIO]:
    return _archive
