"""Lines of feedback into the table: every line is stored, stored already, or rejected for a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson
from psycopg2.extras import Json, execute_values
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from include.flywheel.feedback.models import FeedbackCreate
from include.flywheel.logs.tally import Tallies, Tally

BATCH_ROWS = 500
_SCOPE = "load"
"""Whose idempotency keys those of loaded lines are."""

_FROM_AN_ARCHIVE = frozenset({"id", "updated_at"})
"""Fields of archived rows that the table gives anew."""

FROM_THE_LOG = ("query", "response", "model", "session_id", "client_id", "workload_id", "timestamp")
_NOT_JSON = "not a JSON object"

Lookup = Mapping[str, Mapping[str, Any]]
"""Trace → fields of feedback that the log tells."""


class LoadLine(FeedbackCreate):
    """A line: what a submission has, and of archived rows when and under which id it was stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timestamp: AwareDatetime | None = None
    feedback_id: UUID | None = None


class FeedbackLedger(BaseModel):
    """read = stored + already_stored + rejected."""

    model_config = ConfigDict(extra="forbid")

    read: int = Field(default=0, ge=0)
    stored: int = Field(default=0, ge=0)
    already_stored: int = Field(default=0, ge=0, description="The same line was loaded before.")
    rejected: dict[str, Tally] = Field(default={}, description="By reason.")

    @property
    def rejected_count(self) -> int:
        """Lines that are not stored."""
        return sum(tally.count for tally in self.rejected.values())


def wanted_traces(lines: Iterable[bytes]) -> set[str]:
    """The traces of lines that say neither what was asked nor what was answered."""
    wanted = set()
    for line in lines:
        said = _decoded(line)
        trace_id = None if said is None else said.get("trace_id")
        if (
            said is not None
            and isinstance(trace_id, str)
            and not (said.get("query") and said.get("response"))
        ):
            wanted.add(trace_id)
    return wanted


def load_feedback(
    connection: Any,
    lines: Iterable[bytes],
    found: Lookup,
    *,
    source: str = "line",
    progress: Callable[[int], None] | None = None,
) -> FeedbackLedger:
    """Store the lines; safe to repeat, a line is stored once. Committed in batches.

    :param connection: a psycopg2 connection.
    :param found: what the log tells of the traces of lines that lack it; what a line says itself stays.
    """
    ledger, rejected = FeedbackLedger(), Tallies()
    batch: list[tuple[Any, ...]] = []
    for number, line in enumerate(lines, start=1):
        ledger.read += 1
        try:
            batch.append(_values(line, found))
        except _Rejected as error:
            rejected.add(str(error), f"{source}:{number}")
        if len(batch) == BATCH_ROWS:
            _store(connection, batch, ledger)
            batch = []
            if progress is not None:
                progress(ledger.read)
    _store(connection, batch, ledger)
    ledger.rejected = rejected.result()
    return ledger


class _Rejected(Exception):
    """Why a line is not stored."""


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) else None


def _values(line: bytes, found: Lookup) -> tuple[Any, ...]:
    said = _decoded(line)
    if said is None:
        raise _Rejected(_NOT_JSON)
    said = {name: value for name, value in said.items() if name not in _FROM_AN_ARCHIVE}
    trace_id = said.get("trace_id")
    known = found.get(trace_id, {}) if isinstance(trace_id, str) else {}
    for name in FROM_THE_LOG:
        if not said.get(name) and name in known:
            said[name] = known[name]
    try:
        row = LoadLine.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "line"
        if first["type"] == "missing" and isinstance(trace_id, str) and not known:
            raise _Rejected(f"`{field}` is missing, and no log record has its trace") from None
        raise _Rejected(f"`{field}`: {first['msg']}") from None
    # The line's own content is its key: white space and the order of keys do not count.
    digest = hashlib.sha256(orjson.dumps(_decoded(line), option=orjson.OPT_SORT_KEYS)).digest()
    return *(_stored(getattr(row, name)) for name in _FIELDS), _SCOPE, digest.hex(), digest


def _stored(value: Any) -> Any:
    if isinstance(value, dict):
        return Json(value)
    return str(value) if isinstance(value, UUID) else value


_FIELDS = tuple(LoadLine.model_fields)
_GIVEN = {"timestamp": "coalesce(%s, now())", "feedback_id": "coalesce(%s::uuid, gen_random_uuid())"}
_COLUMNS = (*_FIELDS, "idempotency_scope", "idempotency_key", "request_digest")
_INSERT = (
    f"INSERT INTO feedback ({', '.join(_COLUMNS)}) VALUES %s "  # noqa: S608
    "ON CONFLICT DO NOTHING RETURNING id"
)
_TEMPLATE = f"({', '.join(_GIVEN.get(name, '%s') for name in _COLUMNS)})"


def _store(connection: Any, batch: list[tuple[Any, ...]], ledger: FeedbackLedger) -> None:
    if not batch:
        return
    with connection, connection.cursor() as cursor:
        stored = execute_values(cursor, _INSERT, batch, template=_TEMPLATE, page_size=BATCH_ROWS, fetch=True)
    ledger.stored += len(stored)
    ledger.already_stored += len(batch) - len(stored)
