"""What the clean-up found and did, as documents in the collection `upkeep`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any

from pydantic import Field
from pymongo import ASCENDING
from pymongo.database import Database

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import Document, now

SCHEMA_VERSION = 1
MAX_ROWS = 1000
"""Rows that a report keeps; the others are counted."""


class Action(StrEnum):
    """What became of a thing."""

    REMOVED = "removed"
    REPAIRED = "repaired"
    WOULD_REMOVE = "would remove"
    WOULD_REPAIR = "would repair"
    FAILED = "failed"


class Row(Document):
    """One thing that had to go, or one part of the work that failed.

    `age_seconds` counts from the creation of the thing, or from the end of its run where retention asks for
    that; None where nobody knows.
    """

    kind: str
    name: str
    run: str | None = Field(default=None, description="The run's job id.")
    age_seconds: float | None = None
    reason: str
    action: Action
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What there is one row of, until it is done and found once more."""
        return self.kind, self.name, self.run


class Report(Document):
    """One pass of the clean-up. `counts` has every row, also those that `rows` has no place for."""

    schema_version: int = SCHEMA_VERSION
    report_id: str
    dry_run: bool
    started_at: str
    finished_at: str | None = None
    counts: dict[str, dict[Action, int]] = Field(default={}, description="By kind and action.")
    rows: list[Row] = Field(default=[], description="At most 1000.")
    rows_left_out: int = 0

    def add(self, row: Row) -> None:
        """Take a row in. A second try of what had failed, or was only looked at, takes its row's place."""
        earlier = next((one for one in self.rows if one.key == row.key), None)
        if earlier is not None and earlier.action not in {Action.REMOVED, Action.REPAIRED}:
            self._count(earlier, -1)
            self.rows[self.rows.index(earlier)] = row
        elif len(self.rows) < MAX_ROWS:
            self.rows.append(row)
        else:
            self.rows_left_out += 1
        self._count(row, 1)

    @property
    def failures(self) -> int:
        """How many things could not be done."""
        return self.total[Action.FAILED]

    @property
    def total(self) -> Counter[Action]:
        """How many of each action, of all kinds together."""
        total: Counter[Action] = Counter()
        for by_action in self.counts.values():
            total.update(by_action)
        return total

    def _count(self, row: Row, step: int) -> None:
        by_action = self.counts.setdefault(row.kind, {})
        by_action[row.action] = by_action.get(row.action, 0) + step
        if by_action[row.action] == 0:
            del by_action[row.action]


class UpkeepReports:
    """The collection `upkeep`."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._reports = database["upkeep"]

    def ensure_indexes(self) -> None:
        """Create what the queries need; safe to repeat."""
        self._reports.create_index([("report_id", ASCENDING)], unique=True)
        self._reports.create_index([("started_at", ASCENDING)])

    def open(self, report_id: str, *, dry_run: bool) -> Report:
        """The report as it stands, or a new one, which is written down."""
        found = self._reports.find_one({"report_id": report_id})
        if found is not None:
            return _report(found)
        report = Report(report_id=report_id, dry_run=dry_run, started_at=now())
        self.save(report)
        return report

    def get(self, report_id: str) -> Report:
        """The report. Raises StateError when there is none."""
        found = self._reports.find_one({"report_id": report_id})
        if found is None:
            raise StateError(f"no report {report_id!r} is written down; the first task of its run writes it")
        return _report(found)

    def save(self, report: Report) -> None:
        """Write the report as it stands now."""
        document = report.model_dump(mode="json")
        self._reports.replace_one({"report_id": report.report_id}, document, upsert=True)

    def count_before(self, moment: str) -> int:
        """How many reports were begun before that moment (ISO 8601 in UTC)."""
        return self._reports.count_documents({"started_at": {"$lt": moment}})

    def remove_before(self, moment: str) -> None:
        """Delete them."""
        self._reports.delete_many({"started_at": {"$lt": moment}})


def _report(found: dict[str, Any]) -> Report:
    found.pop("_id", None)
    return Report.model_validate(found)
