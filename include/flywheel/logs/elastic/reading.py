"""A snapshot of one query in Elasticsearch: a point in time, read page by page."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.codec import Hit, document_line
from include.flywheel.logs.elastic.errors import refuse_partial, telling
from include.flywheel.logs.elastic.query import IN_SECONDS, having, lacking
from include.flywheel.logs.elastic.side_by_side import side_by_side

KEEP_ALIVE = "5m"
"""How long the snapshot lasts after each page; the reader must ask for the next one by then."""

MAX_PAGE_RECORDS = 1000
FIRST_PAGE_RECORDS = 100
PAGE_BYTES = 16 * 1024 * 1024
"""1,000 records of 16 KB, fewer when one was longer. Only a page takes more whose records are suddenly much
longer than all before."""

MAX_SLICES = 4

Page = list[Hit]
_NEWEST_FIRST: list[dict[str, Any]] = [
    {"timestamp": {"order": "desc", "missing": "_last", "unmapped_type": "date"}},
    {"_shard_doc": "desc"},
]


class ElasticReading:
    """The documents of a query as they were when this was made. Can be iterated once.

    :param query: in Elasticsearch's words.
    :param limit: only the newest so many.
    :param slices: parts that are read side by side where there is no limit; None: one a shard, up to 4.

    Memory: two pages a slice, each of about 16 MB at the most.
    """

    def __init__(
        self, client: Elasticsearch, index: str, query: dict[str, Any], limit: int | None, slices: int | None
    ) -> None:
        self._client, self._index, self._query = client, index, query
        self._limit, self._slices = limit, slices
        self._in_store = 0
        self._at: Hit | None = None
        self._iterated = False
        with telling(index, "opening a snapshot"):
            self._point = str(client.open_point_in_time(index=index, keep_alive=KEEP_ALIVE)["id"])

    @property
    def in_store(self) -> int:
        """Documents of the query, whatever its limit. Known once the iteration has ended."""
        return self._in_store

    def where(self) -> str:
        """Index and id of the document that was yielded last."""
        return "nowhere yet" if self._at is None else f"{self._at.index}/{self._at.id}"

    def __iter__(self) -> Iterator[bytes]:
        if self._iterated:
            raise DataError(
                f"index {self._index!r}: this snapshot was read and closed; ask the store for another"
            )
        self._iterated = True
        read = 0
        try:
            total, in_seconds, shards = self._survey()
            self._in_store = total
            wanted = total if self._limit is None else min(self._limit, total)
            hits = self._all(shards) if self._limit is None else self._newest(in_seconds, total, wanted)
            with closing(hits):
                for hit in hits:
                    line = document_line(hit)
                    if line is None:
                        raise DataError(
                            f"index {hit.index!r} keeps no documents: enable `_source` in its mapping"
                        )
                    self._at = hit
                    read += 1
                    yield line
            if read != wanted:
                raise DataError(f"index {self._index!r}: {wanted} documents counted, {read} read; run again")
        finally:
            self._close()

    def _survey(self) -> tuple[int, int, int]:
        """(documents, of these with a time in seconds, shards)."""
        answer = self._search(query=self._query, size=0, aggs={"in_seconds": {"filter": IN_SECONDS}})
        return (
            answer["hits"].total["value"],
            answer["aggregations"]["in_seconds"]["doc_count"],
            answer["_shards"]["total"],
        )

    def _all(self, shards: int) -> Generator[Hit, None, None]:
        parts = self._slices or min(max(shards, 1), MAX_SLICES)
        in_index_order = [{"_shard_doc": "asc"}]
        if parts == 1:
            yield from itertools.chain.from_iterable(self._pages(self._query, in_index_order, lambda: False))
            return

        def one(number: int) -> Callable[[Callable[[], bool]], Iterator[Page]]:
            part = {"id": number, "max": parts}
            return lambda stopped: self._pages(self._query, in_index_order, stopped, part=part)

        with closing(side_by_side([one(number) for number in range(parts)])) as pages:
            for page in pages:
                yield from page

    def _newest(self, in_seconds: int, total: int, wanted: int) -> Generator[Hit, None, None]:
        """Newest first. Documents in seconds lie in 1970 for the index: they are sorted apart and merged."""
        if not in_seconds or in_seconds == total:
            hits = itertools.chain.from_iterable(
                self._pages(self._query, _NEWEST_FIRST, lambda: False, most=wanted)
            )
            yield from itertools.islice(hits, wanted)
            return
        forms = [(lacking(self._query, IN_SECONDS), 1), (having(self._query, IN_SECONDS), 1000)]
        streams = [self._timed(query, unit, wanted) for query, unit in forms]
        merged = heapq.merge(*streams, key=lambda timed: timed[0], reverse=True)
        yield from (hit for _, hit in itertools.islice(merged, wanted))

    def _timed(self, query: dict[str, Any], unit_ms: int, most: int) -> Iterator[tuple[int, Hit]]:
        """(Unix milliseconds, hit), newest first; -1 where a document has no time."""
        for page in self._pages(query, _NEWEST_FIRST, lambda: False, most=most):
            for hit in page:
                time = hit.sort[0]
                # A missing time sorts as the smallest long.
                yield (time * unit_ms if isinstance(time, int) and time > 0 else -1), hit

    def _pages(
        self,
        query: dict[str, Any],
        sort: list[dict[str, Any]],
        stopped: Callable[[], bool],
        *,
        part: dict[str, int] | None = None,
        most: int | None = None,
    ) -> Iterator[Page]:
        size, after, read, longest = FIRST_PAGE_RECORDS, None, 0, 1
        while not stopped():
            if most is not None:
                size = min(size, most - read)
            if size <= 0:
                return
            more: dict[str, Any] = {} if after is None else {"search_after": after}
            if part is not None:
                more["slice"] = part
            page: Page = self._search(query=query, sort=sort, size=size, **more)["hits"].hits
            if not page:
                return
            yield page
            read += len(page)
            after = page[-1].sort
            longest = max(longest, *(memoryview(hit.source).nbytes for hit in page))
            size = max(1, min(MAX_PAGE_RECORDS, PAGE_BYTES // longest))

    def _search(self, **body: Any) -> dict[str, Any]:
        point = {"id": self._point, "keep_alive": KEEP_ALIVE}
        with telling(self._index, "reading"):
            answer = self._client.search(
                pit=point, allow_partial_search_results=False, track_total_hits=body["size"] == 0, **body
            )
        refuse_partial(self._index, dict(answer))
        self._point = answer.get("pit_id") or self._point
        return dict(answer)

    def _close(self) -> None:
        # It ends by itself after `KEEP_ALIVE`; a failure here must not hide another.
        with suppress(ApiError, TransportError):
            self._client.close_point_in_time(id=self._point)
