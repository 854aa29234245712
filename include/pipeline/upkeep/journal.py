"""The report while it is made: every row goes to the task's log at once, and all of them to the document."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from include.flywheel.runs.upkeep_reports import Action, Report, Row
from include.pipeline.upkeep.survey import PROBLEMS
from include.pipeline.upkeep.things import Thing
from include.stores.upkeep import open_reports

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Journal:
    """Takes rows. In a dry run nothing is done, and the rows say what would be.

    `at` is the moment from which ages count back.
    """

    report: Report
    at: datetime

    def act(
        self, things: list[Thing], reason: str, how: Callable[[], object], *, repair: bool = False
    ) -> bool:
        """Do it, unless in a dry run, and write down for each of the things what became of it."""
        if self.report.dry_run:
            action, error = (Action.WOULD_REPAIR if repair else Action.WOULD_REMOVE), None
        else:
            action, error = (Action.REPAIRED if repair else Action.REMOVED), _problem(how)
        for thing in things:
            self.write(thing, reason, Action.FAILED if error else action, error)
        return error is None

    def write(self, thing: Thing, reason: str, action: Action, error: str | None = None) -> None:
        """One row of a thing."""
        self.add(
            Row(
                kind=thing.kind.value,
                name=thing.name,
                run=thing.job_id or None,
                age_seconds=thing.age_seconds(self.at),
                reason=reason,
                action=action,
                error=error,
            )
        )

    def add(self, row: Row) -> None:
        """One row."""
        self.report.add(row)
        level = logging.ERROR if row.error else logging.INFO
        log.log(
            level,
            "%s %s: %s (%s)%s",
            row.kind,
            row.name,
            row.action,
            row.reason,
            f": {row.error}" if row.error else "",
        )


@contextmanager
def journal(report_id: str, *, dry_run: bool) -> Iterator[Journal]:
    """The report of one pass, opened or gone on with; it is written down whatever happens inside."""
    reports = open_reports()
    report = reports.open(report_id, dry_run=dry_run)
    try:
        yield Journal(report, datetime.now(UTC))
    finally:
        reports.save(report)


def _problem(how: Callable[[], object]) -> str | None:
    try:
        how()
    except PROBLEMS as error:
        return str(error) or type(error).__name__
    return None
