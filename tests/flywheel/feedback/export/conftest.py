"""Rows of feedback, and exports of them into a folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.export.lines import FeedbackRow
from include.flywheel.feedback.export.names import checked_name
from include.flywheel.feedback.export.spec import ExportSpec, Filters
from include.flywheel.feedback.export.write import write_export

END = datetime(2026, 11, 22, tzinfo=UTC)
FILTERS = Filters.last(7, now=END)


def _row(number=0, **fields):
    said = {
        "feedback_id": str(UUID(int=number)),
        "timestamp": END - timedelta(minutes=number),
        "query": f"how do I change flight {number}?",
        "response": f"Open your booking {number} and choose another flight.",
        "model": "gpt-4o",
        "rating": 1,
        "expected_answer": None,
        "intent": "general",
        "project": "desk",
        "category": None,
        "reason": None,
    }
    return FeedbackRow(**(said | fields))


class Exported:
    """What an export wrote."""

    def __init__(self, manifest, folder: Path) -> None:
        self.manifest, self.folder = manifest, folder

    def lines(self, suffix=""):
        content = (self.folder / f"out{suffix}.jsonl").read_bytes()
        return [json.loads(line) for line in content.splitlines()]


@pytest.fixture(scope="session")
def row():
    return _row


@pytest.fixture
def export(tmp_path):
    def run(rows, *, filters=FILTERS, **spec):
        manifest = write_export(
            rows, ExportSpec(filters=filters, **spec), LocalFolder(tmp_path), checked_name("out"), now=END
        )
        return Exported(manifest, tmp_path)

    return run
