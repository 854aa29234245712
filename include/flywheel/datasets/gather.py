"""The first pass: read, validate, count, and spool what is valid; then one row a request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from include.flywheel.datasets.columns import Columns
from include.flywheel.datasets.conversations import Prefixes
from include.flywheel.datasets.deduplicate import Requests, deduplicate
from include.flywheel.datasets.feedback.match import Matcher
from include.flywheel.datasets.kinds import Kind, KindFound
from include.flywheel.datasets.ledger import RunLedger
from include.flywheel.datasets.reasons import Reason
from include.flywheel.datasets.spool import Spool
from include.flywheel.datasets.validate import Validator
from include.flywheel.logs.store import Reading
from include.flywheel.logs.tally import Tallies

NAMED_REASONS = 5
"""Reasons that an error message names."""

PROGRESS_RECORDS = 20_000
INTENT_FIELD = "description"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the first pass found: the distinct requests and the rejections by reason."""

    requests: Requests
    kind: KindFound
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
            duplicates=self.requests.duplicates,
        )

    def summary(self) -> str:
        """How the usable records came about, in one line."""
        ledger = self.ledger()
        reasons = [f"{t.count} {reason} (e.g. {t.example})" for reason, t in ledger.invalid.items()]
        named = "; ".join(reasons[:NAMED_REASONS]) + ("; …" if len(reasons) > NAMED_REASONS else "")
        text = (
            f"{self.records_read} records read, {ledger.invalid_count} invalid, "
            f"{ledger.duplicates} duplicates, {len(self.requests)} usable; kind: {self.kind.kind.words}"
        )
        return f"{text}. Invalid: {named}" if named else text


def gather(
    reading: Reading,
    spool: Spool,
    *,
    parse_arguments: bool = True,
    kind: Kind | None = None,
    stratify_by: str | None = None,
    matcher: Matcher | None = None,
    progress: Callable[[int], None] | None = None,
) -> Gathered:
    """Read everything once. Memory grows with the number of records, not with their length.

    :param kind: None: found by the shares of the records.
    :param stratify_by: `tool`, `label`, `intent` or a top-level field; None: what suits the kind.
    :param matcher: told every line, to find the judged ones.
    :param progress: told the number of records read so far, now and then.
    """
    field = None if stratify_by in ("tool", "label") else _field(stratify_by)
    rejected = Tallies()
    with closing(Prefixes(spool.folder)) as prefixes:
        columns = Columns(prefixes)
        read = _Pass(reading, spool, columns, rejected, matcher).run(
            Validator(parse_arguments=parse_arguments, stratum_field=field), progress
        )
        found = columns.found_kind() if kind is None else KindFound(kind, "set by the workload")
        requests = deduplicate(columns, spool, found.kind, stratify_by)
    for reason, (count, example) in requests.left_out.items():
        rejected.add(reason.value, example, count)
    return Gathered(requests, found, reading.in_store, read, rejected)


@dataclass(frozen=True, slots=True)
class _Pass:
    reading: Reading
    spool: Spool
    columns: Columns
    rejected: Tallies
    matcher: Matcher | None

    def run(self, validate: Validator, progress: Callable[[int], None] | None) -> int:
        """Lines read; what is valid is in the spool and the columns, the rest is counted."""
        read = 0
        for line in self.reading:
            read += 1
            sample = validate(line)
            if isinstance(sample, Reason):
                self.rejected.add(sample.value, self.reading.where())
                if self.matcher is not None:
                    self.matcher.invalid(line)
            else:
                place = self.spool.add(sample.head, sample.middle, sample.tail, sample.side)
                self.columns.add(sample, place)
                if self.matcher is not None:
                    self.matcher.valid(line, sample, place)
                if sample.form not in self.columns.first_seen:
                    self.columns.first_seen[sample.form] = self.reading.where()
            if progress is not None and read % PROGRESS_RECORDS == 0:
                progress(read)
        return read


def _field(stratify_by: str | None) -> str:
    return INTENT_FIELD if stratify_by in (None, "intent") else stratify_by
