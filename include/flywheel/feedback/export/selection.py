"""Which rows are exported: each row read is kept, or left out for one reason."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from include.flywheel.feedback.export.lines import FeedbackRow
from include.flywheel.feedback.export.spec import Filters


class LeftOut(StrEnum):
    """Why a row is in no file."""

    SHORT_QUERY = "query shorter than min_query_chars"
    SHORT_RESPONSE = "answer shorter than min_response_chars"
    DUPLICATE = "older row of an equal query and response"


class Selection:
    """Decides row by row. Rows come newest first; of two equal ones the first to come, the newest, stays.

    Memory holds 16 bytes of each different pair of query and response that was kept.
    """

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._seen: set[bytes] = set()

    def __call__(self, row: FeedbackRow) -> LeftOut | None:
        """Why the row is left out; None: it is kept."""
        if len(row.query.strip()) < self._filters.min_query_chars:
            return LeftOut.SHORT_QUERY
        if len(row.target.strip()) < self._filters.min_response_chars:
            return LeftOut.SHORT_RESPONSE
        if self._filters.deduplicate:
            key = _key(row)
            if key in self._seen:
                return LeftOut.DUPLICATE
            self._seen.add(key)
        return None


def _key(row: FeedbackRow) -> bytes:
    query = row.query.strip().encode("utf-8", "surrogatepass")
    response = row.response.strip().encode("utf-8", "surrogatepass")
    # The length keeps apart what would run together.
    return hashlib.blake2b(b"%d:%b%b" % (len(query), query, response), digest_size=16).digest()
