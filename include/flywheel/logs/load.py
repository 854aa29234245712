"""Loading lines into a store, with a ledger: lines read = stored + stored already + rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.errors import DataError
from include.flywheel.logs.store import LogStore, RecordsRefused
from include.flywheel.logs.tally import Tallies, Tally
from include.flywheel.logs.timestamps import to_milliseconds

BATCH_LINES = 256
"""More would not store faster: decoded records push each other out of the processor's cache."""

BATCH_BYTES = 8 * 1024 * 1024


_DEEPEST = 200
"""Fewer brackets than this cannot nest deeper than what can be written again (254 levels)."""


class LoadReason(StrEnum):
    """Why a line was not stored."""

    BLANK = "blank line"
    NOT_JSON = "not JSON"
    NOT_OBJECT = "not a JSON object"
    OTHER_CLIENT = "other client"
    OTHER_WORKLOAD = "other workload"
    NO_TIMESTAMP = "no timestamp"
    BAD_TIMESTAMP = "timestamp is not Unix time"
    TOO_DEEP = "nested too deeply"
    REFUSED = "refused by the log store"


class LoadLedger(BaseModel):
    """What became of every line."""

    model_config = ConfigDict(extra="forbid")

    client_id: str
    workload_id: str
    lines_read: int = Field(ge=0)
    stored: int = Field(ge=0)
    already_stored: int = Field(ge=0, description="The same record was in the store, or twice in the input.")
    rejected: dict[str, Tally]

    @property
    def rejected_count(self) -> int:
        """Lines rejected for any reason."""
        return sum(tally.count for tally in self.rejected.values())

    def __add__(self, other: LoadLedger) -> LoadLedger:
        """Both together; of the examples the first."""
        rejected = {reason: tally.model_copy() for reason, tally in self.rejected.items()}
        for reason, tally in other.rejected.items():
            if reason in rejected:
                rejected[reason].count += tally.count
            else:
                rejected[reason] = tally
        return self.model_copy(
            update={
                "lines_read": self.lines_read + other.lines_read,
                "stored": self.stored + other.stored,
                "already_stored": self.already_stored + other.already_stored,
                "rejected": rejected,
            }
        )

    def check(self) -> None:
        """Raise DataError unless lines read = stored + already stored + rejected."""
        explained = self.stored + self.already_stored + self.rejected_count
        if self.lines_read != explained:
            raise DataError(
                f"the loader's ledger does not add up: {self.lines_read} lines read, but "
                f"{self.stored} stored + {self.already_stored} stored already + "
                f"{self.rejected_count} rejected = {explained}"
            )


class LoadInterrupted(DataError):
    """The input broke off. What came before is stored and counted in `ledger`."""

    def __init__(self, cause: DataError, ledger: LoadLedger) -> None:
        super().__init__(str(cause))
        self.ledger = ledger


class NotJsonLines(DataError):
    """No line of the input is a JSON object; nothing was stored."""


def load(
    lines: Iterable[bytes],
    store: LogStore,
    client_id: str,
    workload_id: str,
    *,
    source: str = "input",
    progress: Callable[[int], None] | None = None,
) -> LoadLedger:
    """Store the lines that are of this client and workload, and those that name none as theirs.

    :param source: what the input is called: an example in the ledger is `{source}:{line number}`.
    :param progress: told the number of lines read so far, after each batch.
    :raises NotJsonLines: when not one line is a JSON object.
    :raises LoadInterrupted: when `lines` itself raises DataError half way.
    :raises DataError: when it does so at once, or the store cannot be written.
    """
    loader = _Loader(store, client_id, workload_id, source, progress)
    try:
        for line in lines:
            loader.add(line)
    except DataError as error:
        loader.flush()
        ledger = loader.ledger()
        if not ledger.lines_read:
            raise
        raise LoadInterrupted(error, ledger) from error
    loader.flush()
    loader.refuse_other_formats()
    ledger = loader.ledger()
    ledger.check()
    return ledger


class _Loader:
    def __init__(
        self,
        store: LogStore,
        client_id: str,
        workload_id: str,
        source: str,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._store, self._source, self._progress = store, source, progress
        self._client_id, self._workload_id = client_id, workload_id
        self._tallies = Tallies()
        self._batch: list[dict[str, Any]] = []
        self._batch_lines: list[int] = []
        self._batch_bytes = 0
        self._lines_read = self._stored = self._already_stored = 0

    def add(self, line: bytes) -> None:
        self._lines_read += 1
        record = self._accept(line)
        if isinstance(record, LoadReason):
            self._tallies.add(record, f"{self._source}:{self._lines_read}")
        else:
            self._batch.append(record)
            self._batch_lines.append(self._lines_read)
            self._batch_bytes += len(line)
        if len(self._batch) >= BATCH_LINES or self._batch_bytes >= BATCH_BYTES:
            self.flush()
        elif self._progress and self._lines_read % BATCH_LINES == 0:
            self._progress(self._lines_read)

    def flush(self) -> None:
        try:
            report = self._store.append(self._batch)
        except RecordsRefused as error:
            report = error.report
            for position, why in error.refused.items():
                line = self._batch_lines[position]
                self._tallies.add(LoadReason.REFUSED, f"{self._source}:{line} ({why})")
        self._stored += report.stored
        self._already_stored += report.already_stored
        self._batch, self._batch_lines, self._batch_bytes = [], [], 0
        if self._progress:
            self._progress(self._lines_read)

    def refuse_other_formats(self) -> None:
        no_object = self._tallies.count(LoadReason.BLANK, LoadReason.NOT_JSON, LoadReason.NOT_OBJECT)
        if not self._lines_read:
            raise NotJsonLines(f"{self._source} is empty; log records are one JSON object a line")
        if no_object == self._lines_read:
            raise NotJsonLines(
                f"{self._source}: none of its {self._lines_read} lines is a JSON object, nothing was stored; "
                "log records are one JSON object a line (JSONL), plain or .gz"
            )

    def ledger(self) -> LoadLedger:
        return LoadLedger(
            client_id=self._client_id,
            workload_id=self._workload_id,
            lines_read=self._lines_read,
            stored=self._stored,
            already_stored=self._already_stored,
            rejected=self._tallies.result(),
        )

    def _accept(self, line: bytes) -> dict[str, Any] | LoadReason:
        if not line.strip():
            return LoadReason.BLANK
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return LoadReason.NOT_JSON
        if not isinstance(record, dict):
            return LoadReason.NOT_OBJECT
        if record.get("client_id") is None:
            record["client_id"] = self._client_id
        if record.get("workload_id") is None:
            record["workload_id"] = self._workload_id
        reason = self._reason_against(record)
        if reason is None and line.count(b"{") + line.count(b"[") >= _DEEPEST:
            try:
                orjson.dumps(record)
            except orjson.JSONEncodeError:
                reason = LoadReason.TOO_DEEP
        return reason or record

    def _reason_against(self, record: dict[str, Any]) -> LoadReason | None:
        if record["client_id"] != self._client_id:
            return LoadReason.OTHER_CLIENT
        if record["workload_id"] != self._workload_id:
            return LoadReason.OTHER_WORKLOAD
        if record.get("timestamp") is None:
            return LoadReason.NO_TIMESTAMP
        if to_milliseconds(record["timestamp"]) is None:
            return LoadReason.BAD_TIMESTAMP
        return None
