"""Users' feedback once an hour: its figures are made fresh, and old rows move into files."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import asyncpg
import psycopg2.errors

from include.flywheel.runs.upkeep_reports import Action, Row
from include.pipeline.upkeep.journal import Journal
from include.pipeline.upkeep.survey import PROBLEMS
from include.pipeline.upkeep.things import Kind, Thing
from include.stores.feedback import find_place, open_feedback
from include.stores.feedback_archive import archive_before, count_before
from include.stores.feedback_exports import open_export_folder
from include.stores.feedback_judgements import is_configured

log = logging.getLogger(__name__)

_UNDEFINED = (
    psycopg2.errors.UndefinedTable,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
)
_NO_TABLES = "it has no feedback tables of this version: run `python -m include.cli.feedback migrate`"


def keep_feedback(journal: Journal, days: int | None) -> None:
    """Archive rows older than `days` (None: keep them), then refresh; what fails is in the report."""
    if not is_configured():
        log.info("connection 'flywheel_feedback' is not configured: no feedback is kept here")
        return
    try:
        if days is not None:
            _archive(journal, days)
        if not journal.report.dry_run:
            asyncio.run(_refresh())
            log.info("rollups and accuracy view of feedback are fresh")
    except PROBLEMS as error:
        why = "its database could not be used"
        said = _NO_TABLES if isinstance(error, _UNDEFINED) else str(error).strip()
        journal.add(Row(kind=Kind.FEEDBACK.value, name="all", reason=why, action=Action.FAILED, error=said))


def _archive(journal: Journal, days: int) -> None:
    place, before = find_place(), journal.at - timedelta(days=days)
    if number := count_before(place, before):
        thing = Thing(Kind.FEEDBACK, f"{number} rows", "", None)
        journal.act(
            [thing],
            f"older than {days} days: into files",
            lambda: archive_before(place, open_export_folder(), before),
        )


async def _refresh() -> None:
    async with open_feedback(least=1, most=1) as repository:
        await repository.refresh()
