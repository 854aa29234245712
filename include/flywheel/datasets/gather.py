"""The first pass: read, validate, count, and spool what is valid; keep one row a request."""

from __future__ import annotations

from dataclasses import dataclass

from include.flywheel.datasets.deduplicate import RequestTable
from include.flywheel.datasets.ledger import RunLedger
from include.flywheel.datasets.records import NO_TOOL, Record
from include.flywheel.datasets.spool import Spool
from include.flywheel.datasets.validate import Reason, validate
from include.flywheel.errors import DataError
from include.flywheel.logs.store import Reading
from include.flywheel.logs.tally import Tallies

NAMED_REASONS = 5
"""Reasons that an error message names."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the first pass found: the distinct requests and the rejections by reason."""

    table: RequestTable
    in_store: int
    records_read: int
    rejected: Tallies

    def ledger(self) -> RunLedger:
        """The run's ledger as far as it is known before the split."""
        return RunLedger(
            in_store=self.in_store,
            older_than_limit=self.in_store - self.records_read,
            records_read=self.records_read,
            invalid=self.rejected.result(),
            duplicates=self.table.duplicates,
        )

    def summary(self) -> str:
        """How the usable records came about, in one line."""
        ledger = self.ledger()
        reasons = [f"{t.count} {reason} (e.g. {t.example})" for reason, t in ledger.invalid.items()]
        named = "; ".join(reasons[:NAMED_REASONS]) + ("; …" if len(reasons) > NAMED_REASONS else "")
        text = (
            f"{self.records_read} records read, {ledger.invalid_count} invalid, "
            f"{ledger.duplicates} duplicates, {len(self.table)} usable"
        )
        return f"{text}. Invalid: {named}" if named else text


def gather(reading: Reading, spool: Spool, *, parse_arguments: bool) -> Gathered:
    """Read everything once. Memory grows with the number of distinct requests, not with their length."""
    table, rejected = RequestTable(), Tallies()
    read = 0
    for raw in reading:
        read += 1
        found = validate(raw, parse_arguments=parse_arguments)
        if isinstance(found, Record):
            content = found.to_bytes()
            table.add(found, content, spool.add(content))
        else:
            rejected.add(found.value, raw.example)
    return Gathered(table, reading.in_store, read, rejected)


def require_tool_calling(gathered: Gathered) -> None:
    """Raise DataError unless this is a tool-calling workload: most records offer tools, some call one."""
    kept = len(gathered.table) + gathered.table.duplicates
    without_tools = gathered.rejected.count(Reason.NO_TOOLS, Reason.EMBEDDING)
    remedy = "only tool-calling workloads can be decided by this version; choose such a workload_id"
    if without_tools > kept:
        raise DataError(
            f"{without_tools} of {kept + without_tools} well-formed records offer no tools: {remedy}. "
            f"Found: {gathered.summary()}"
        )
    if kept and set(gathered.table.row_labels()) == {NO_TOOL}:
        raise DataError(
            f"none of {kept} valid records calls a tool, though they offer some: {remedy}. "
            f"Found: {gathered.summary()}"
        )
