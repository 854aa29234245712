"""The log store: what the flywheel asks of wherever production records are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field


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


class Undecodable(StrEnum):
    """Why a stored line holds no record."""

    NOT_JSON = "not JSON"
    NOT_OBJECT = "not a JSON object"
    TORN = "torn line at the end of its file"


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One stored record as it was decoded, or the reason why it could not be.

    :param example: where it stands, for people: file and byte offset, or a document id.
    """

    example: str
    document: dict[str, Any] | None
    reason: Undecodable | None = None


class Reading(Protocol):
    """The records of one query, as the store held them when it was asked.

    Iterating yields the newest `limit` raw records in the store's own order; what is appended meanwhile
    does not appear.
    """

    @property
    def in_store(self) -> int:
        """Raw records of the query in the store, whatever its limit."""

    def __iter__(self) -> Iterator[RawRecord]: ...


class AppendReport(BaseModel):
    """What became of the records of one append."""

    model_config = ConfigDict(extra="forbid")

    stored: int = Field(ge=0)
    already_stored: int = Field(ge=0, description="The same record is in the store: it was not stored again.")


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

        The same record twice is stored once. Raises DataError on a record without these.
        """

    def describe(self) -> StoreSummary:
        """What the store holds."""
