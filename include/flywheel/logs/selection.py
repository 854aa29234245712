"""Which lines of a file belong to a query, decoding as few of them as possible."""

from __future__ import annotations

import orjson

from include.flywheel.logs.partitions import LogFile, file_name
from include.flywheel.logs.record_lines import marks, owner
from include.flywheel.logs.store import LogQuery

_TIME_AT = len(b'{"timestamp":')
_LONGEST_TIME = 16


class Selection:
    """The lines of one query.

    A line that cannot be decoded belongs to the query when it stands in the store's own file of these ids, or
    when it names both. Having no time of its own, it counts as the oldest of its day.
    """

    def __init__(self, query: LogQuery) -> None:
        self._query = query
        self._name = file_name(query.client_id, query.workload_id)
        self._marks = marks(query.client_id, query.workload_id)
        ids = {"client_id": query.client_id, "workload_id": query.workload_id}
        self._head = b"," + orjson.dumps(ids)[1:-1]

    def may_hold(self, file: LogFile) -> bool:
        """Whether lines of the query can stand in `file`, by its name and day."""
        if not file.own:
            return True
        since, until = self._query.since_ms, self._query.until_ms
        in_window = (since is None or file.end_ms > since) and (until is None or file.start_ms < until)
        return in_window and self.owns(file)

    def owns(self, file: LogFile) -> bool:
        """Whether `file` is the store's own of these ids."""
        return file.of(self._name)

    def time_of(self, line: bytes, file: LogFile, *, own: bool) -> int | None:
        """When a line of this query was written, Unix milliseconds; None when it is not of this query."""
        head = line.find(self._head, _TIME_AT, _TIME_AT + _LONGEST_TIME + len(self._head)) if own else -1
        time_ms = int(line[_TIME_AT:head]) if head > 0 else self._decoded_time(line, file, own=own)
        if time_ms is None:
            return None
        since, until = self._query.since_ms, self._query.until_ms
        if (since is not None and time_ms < since) or (until is not None and time_ms >= until):
            return None
        return time_ms

    def _decoded_time(self, line: bytes, file: LogFile, *, own: bool) -> int | None:
        if not own and not all(mark in line for mark in self._marks):
            return None
        if not line.strip():
            return None
        whose = owner(line)
        if whose.decodable:
            if (whose.client_id, whose.workload_id) != (self._query.client_id, self._query.workload_id):
                return None
        elif not own and len(self._marks) < 2:
            return None
        return file.start_ms if whose.timestamp_ms is None else whose.timestamp_ms
