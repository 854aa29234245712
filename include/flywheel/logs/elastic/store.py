"""The log store in Elasticsearch: an index, a data stream or a pattern of indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.errors import refuse_partial, telling
from include.flywheel.logs.elastic.fields import IDS, TIME, look_up
from include.flywheel.logs.elastic.query import IN_SECONDS, to_query
from include.flywheel.logs.elastic.reading import ElasticReading
from include.flywheel.logs.elastic.statistics import elastic_statistics
from include.flywheel.logs.elastic.template import ensure_index, install
from include.flywheel.logs.elastic.writing import FIRST_PAUSE_SECONDS, BulkWriter, Entry, with_time
from include.flywheel.logs.record_lines import encode
from include.flywheel.logs.statistics import StoreStatistics
from include.flywheel.logs.store import (
    AppendReport,
    LogQuery,
    RecordsRefused,
    StoreSummary,
    WorkloadSummary,
)

_RETRIED = (429, 502, 503, 504)
_RETRIES = 4
_PAGE = 1000
# The answer comes when all is deleted: the work of the cluster, not a fault of the connection.
_DELETE_SECONDS = 600.0


class ElasticLogStore:
    """Log records in Elasticsearch.

    :param client: one whose serializer for JSON is `elastic_json.HitsSerializer`.
    :param index: name, data stream, or pattern; a pattern can be read but not written.
    :param slices: parts that a whole reading is split into; None: one a shard, up to 4.
    :param pause_seconds: before what a busy cluster refused is sent again; doubles each time.

    Every request may be repeated without harm, so faults of the connection are retried by the client.
    """

    def __init__(
        self,
        client: Elasticsearch,
        index: str = "flywheel",
        *,
        slices: int | None = None,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._client = client.options(max_retries=_RETRIES, retry_on_status=_RETRIED, retry_on_timeout=True)
        self._index, self._slices = index, slices
        self._writer = BulkWriter(self._client, index, pause_seconds=pause_seconds)
        self._backing_indices: int | None = None
        self._unrefreshed = False

    def __repr__(self) -> str:
        return f"ElasticLogStore({self._index!r})"

    def read(self, query: LogQuery) -> ElasticReading:
        """A snapshot of the query's records: newest first with a limit, in no order without.

        Raises DataError when the index is missing or its mapping does not allow to look up ids.
        """
        self._refresh()
        words = to_query(query, look_up(self._client, self._index))
        return ElasticReading(self._client, self._index, words, query.limit, self._slices)

    def count(self, query: LogQuery) -> int:
        """Raw records of the query in the store, whatever its limit. Raises DataError as `read`."""
        self._refresh()
        words = to_query(query, look_up(self._client, self._index))
        with telling(self._index, "counting"):
            answer = self._client.count(index=self._index, query=words)
        refuse_partial(self._index, dict(answer))
        return int(answer["count"])

    def append(self, records: Iterable[Mapping[str, Any]]) -> AppendReport:
        """Store records; the same record is stored once. Makes the index where it is missing.

        After a broken connection a record that had arrived is counted as stored already.

        Raises DataError on a record without `timestamp`, `client_id` or `workload_id`, before anything is
        written; RecordsRefused when the mapping of the index does not take some, after the others were
        stored.
        """
        entries: dict[str, Entry] = {}
        times: dict[str, int] = {}
        read = 0
        for position, record in enumerate(records):
            timestamp_ms, _, _, line = encode(record)
            entry = Entry.of(position, line)
            entries.setdefault(entry.id, entry)
            times[entry.id] = timestamp_ms
            read += 1
        if not entries:
            return AppendReport(stored=0, already_stored=0)
        written = self._writer.write(self._new(list(entries.values()), times))
        self._unrefreshed = True
        report = AppendReport(
            stored=written.stored, already_stored=read - written.stored - len(written.refused)
        )
        if written.refused:
            raise RecordsRefused(self._index, report, written.refused)
        return report

    def delete(self, query: LogQuery) -> int:
        """Delete the query's records, whatever its limit; returns how many were deleted.

        Raises DataError as `read`, and when some could not be deleted. The key needs the privilege `delete`.
        """
        self._refresh()
        words = to_query(query, look_up(self._client, self._index))
        with telling(self._index, "deleting"):
            answer = dict(
                self._client.options(request_timeout=_DELETE_SECONDS).delete_by_query(
                    index=self._index, query=words, conflicts="proceed", refresh=True
                )
            )
        left = len(answer.get("failures", [])) + answer.get("version_conflicts", 0)
        if left or answer.get("timed_out"):
            raise DataError(
                f"index {self._index!r}: {left} records were not deleted; delete "
                "again when nobody writes them"
            )
        return int(answer["deleted"])

    def describe(self) -> StoreSummary:
        """What the store holds, by client and workload."""
        self._refresh()
        fields = look_up(self._client, self._index)
        sources = [{field: {"terms": {"field": fields.to_group_by(field)}}} for field in IDS]
        times = {
            "in_seconds": {"filter": IN_SECONDS, "aggs": _EXTREMES},
            "in_ms": {"filter": {"bool": {"must_not": [IN_SECONDS]}}, "aggs": _EXTREMES},
        }
        found: list[WorkloadSummary] = []
        after: dict[str, Any] = {}
        while True:
            composite: dict[str, Any] = {"size": _PAGE, "sources": sources, **after}
            answer = self._aggregate(
                {"match_all": {}}, {"workloads": {"composite": composite, "aggs": times}}
            )
            buckets = answer["aggregations"]["workloads"]["buckets"]
            found += map(_summary, buckets)
            if len(buckets) < _PAGE:
                break
            after = {"after": answer["aggregations"]["workloads"]["after_key"]}
        unreadable = answer["hits"].total["value"] - sum(one.records for one in found)
        return StoreSummary(where=self._index, workloads=found, unreadable=max(0, unreadable))

    def statistics(self, client_id: str | None = None, workload_id: str | None = None) -> StoreStatistics:
        """Traffic by day, client and workload. Raises DataError as `read`."""
        self._refresh()
        fields = look_up(self._client, self._index)
        return elastic_statistics(self._aggregate, self._index, fields, client_id, workload_id)

    def install_template(self, *, data_stream: bool = False) -> str:
        """Put the index template for this store's index; returns its name. Raises DataError when refused."""
        return install(self._client, self._index, data_stream=data_stream)

    def _aggregate(self, query: dict[str, Any], aggs: dict[str, Any]) -> dict[str, Any]:
        with telling(self._index, "counting"):
            answer = self._client.search(
                index=self._index,
                query=query,
                size=0,
                aggs=aggs,
                track_total_hits=True,
                allow_partial_search_results=False,
            )
        refuse_partial(self._index, dict(answer))
        return dict(answer)

    def _new(self, entries: list[Entry], times: dict[str, int]) -> list[Entry]:
        """What to write; in a data stream it carries its time, and is not in an index that it left behind."""
        if self._backing_indices is None:
            self._backing_indices = ensure_index(self._client, self._index)
        if not self._backing_indices:
            return entries
        for entry in entries:
            entry.line = with_time(entry.line, times[entry.id])
        if self._backing_indices == 1:
            return entries
        known = self._writer.known([entry.id for entry in entries])
        return [entry for entry in entries if entry.id not in known]

    def _refresh(self) -> None:
        """Let searches find what this object stored. Others find it within the index's refresh interval."""
        if not self._unrefreshed:
            return
        try:
            self._client.indices.refresh(index=self._index)
        except (ApiError, TransportError) as error:
            raise DataError(
                f"index {self._index!r} could not be refreshed ({error}); read it again"
            ) from error
        self._unrefreshed = False


_EXTREMES = {"first": {"min": {"field": TIME}}, "last": {"max": {"field": TIME}}}


def _summary(bucket: dict[str, Any]) -> WorkloadSummary:
    firsts, lasts = [], []
    for name, unit_ms in (("in_ms", 1), ("in_seconds", 1000)):
        if bucket[name]["first"]["value"] is not None:
            firsts.append(int(bucket[name]["first"]["value"]) * unit_ms)
            lasts.append(int(bucket[name]["last"]["value"]) * unit_ms)
    return WorkloadSummary(
        client_id=bucket["key"]["client_id"],
        workload_id=bucket["key"]["workload_id"],
        records=bucket["doc_count"],
        first_ms=min(firsts, default=None),
        last_ms=max(lasts, default=None),
    )
