"""The log store: what the flywheel asks of wherever production records are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.errors import DataError
from include.flywheel.logs.statistics import StoreStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """The records of one workload of one client.

    :param since_ms: only records at or after this Unix time in milliseconds.
    :param until_ms: only records before this Unix time in milliseconds.
    :param limit: only the newest so many raw records; None reads all of them.
    """

    client_id: str
    workload_id: str
    since_ms: int | None = None
    until_ms: int | None = None
    limit: int | None = None


class Reading(Protocol):
    """The records of one query, as the store held them when it was asked.

    Iterating yields the newest `limit` raw records in the store's own order, each as it is stored: the bytes
    of one JSON document and a newline. A line without its newline is a torn one. What is appended meanwhile
    does not appear.
    """

    @property
    def in_store(self) -> int:
        """Raw records of the query in the store, whatever its limit. Known once the iteration has ended."""

    def __iter__(self) -> Iterator[bytes]: ...

    def where(self) -> str:
        """Where the record that was yielded last stands, for people: file and byte, or a document id."""


class AppendReport(BaseModel):
    """What became of the records of one append."""

    model_config = ConfigDict(extra="forbid")

    stored: int = Field(ge=0)
    already_stored: int = Field(ge=0, description="The same record is in the store: it was not stored again.")


class RecordsRefused(DataError):
    """The store does not take some records; the others of the same append are stored.

    :param report: what became of the others.
    :param refused: position in the append → why.
    """

    def __init__(self, where: str, report: AppendReport, refused: Mapping[int, str]) -> None:
        position, why = next(iter(refused.items()))
        super().__init__(
            f"{where!r} refused {len(refused)} of the records, the first at position {position}: {why}; the "
            "others are stored; change these records, or the mapping of the index"
        )
        self.report, self.refused = report, refused


class WorkloadSummary(BaseModel):
    """What a store holds of one client and workload. Times are Unix milliseconds."""

    model_config = ConfigDict(extra="forbid")

    client_id: str
    workload_id: str
    records: int = Field(ge=0)
    first_ms: int | None
    last_ms: int | None


class StoreSummary(BaseModel):
    """What a store holds, for people."""

    model_config = ConfigDict(extra="forbid")

    where: str
    workloads: list[WorkloadSummary]
    unreadable: int = Field(ge=0, description="Lines that are no record of any client and workload.")


class LogStore(Protocol):
    """Production records by client and workload."""

    def read(self, query: LogQuery) -> Reading:
        """A snapshot of the query's records."""

    def count(self, query: LogQuery) -> int:
        """Raw records of the query in the store, whatever its limit."""

    def append(self, records: Iterable[Mapping[str, Any]]) -> AppendReport:
        """Store records that carry `timestamp`, `client_id` and `workload_id`.

        The same record twice is stored once. Raises DataError on a record without these, RecordsRefused when
        the
        store does not take some of them.
        """

    def delete(self, query: LogQuery) -> int:
        """Delete the query's records for good, whatever its limit; returns how many there were.

        Safe to repeat. Raises DataError where the store cannot be changed; what is of others stays as it is.
        """

    def describe(self) -> StoreSummary:
        """What the store holds."""

    def statistics(self, client_id: str | None = None, workload_id: str | None = None) -> StoreStatistics:
        """Traffic by day, client and workload; of all of them, or of one."""
