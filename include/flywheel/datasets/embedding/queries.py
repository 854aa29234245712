"""The queries of retrieval traffic as rows that the split draws from."""

from __future__ import annotations

import numpy as np

from include.flywheel.datasets.columns import MAX_STRATA, ROW
from include.flywheel.datasets.deduplicate import UNIFORM, Ints, Requests
from include.flywheel.datasets.embedding.alike import near_identical
from include.flywheel.datasets.embedding.gather import Traffic
from include.flywheel.datasets.embedding.terms import terms
from include.flywheel.datasets.report import ConversationsReport, RepeatedRequests
from include.flywheel.datasets.spool import Spool
from include.flywheel.errors import ConfigError

INTENT, INTENT_FIELD = "intent", "description"
_NOT_OF_QUERIES = {"tool", "label"}


def stratum_field(stratify_by: str | None) -> str | None:
    """The top-level field that the split is stratified by. Raises ConfigError for what queries lack."""
    if stratify_by in _NOT_OF_QUERIES:
        raise ConfigError(
            f"`stratify_by` = {stratify_by!r}: the queries of an embedding job have none; name a top-level "
            "field of the log records, `intent`, or leave it out"
        )
    return INTENT_FIELD if stratify_by == INTENT else stratify_by


def query_text(traffic: Traffic, spool: Spool, query: int) -> str:
    """The text of a query as its newest record has it."""
    return spool.row(traffic.query_places[query]).decode()


def groups_of(traffic: Traffic, spool: Spool, threshold: float) -> Ints:
    """For each query the number of its group of near-identical ones."""
    numbers: dict[str, int] = {}
    words = []
    for query in range(len(traffic.queries)):
        found = terms(query_text(traffic, spool, query))
        words.append(frozenset(numbers.setdefault(word, len(numbers)) for word in found))
    return near_identical(words, threshold)


def as_requests(traffic: Traffic, groups: Ints, stratify_by: str | None) -> Requests:
    """One row a query; a conversation is a group, named by the least digest in it."""
    digests = np.frombuffer(b"".join(traffic.queries), dtype=">u8").reshape(-1, 2).astype(np.uint64)
    names = sorted(set(traffic.strata)) if stratify_by else [UNIFORM]
    if len(names) > MAX_STRATA:
        raise ConfigError(
            f"`stratify_by` = {stratify_by!r}: the field has more than {MAX_STRATA:,} different values; "
            "name a field of the log records with a few, or leave it out"
        )
    place = {name: number for number, name in enumerate(names)}
    labels = np.array([place.get(stratum, 0) for stratum in traffic.strata], dtype=np.int64)
    sizes = np.unique(groups, return_counts=True)[1]
    return Requests(
        digests=digests,
        times_ms=traffic.times_ms,
        places=np.array([tuple(one) for one in traffic.query_places], dtype=ROW["place"]),
        row_bytes=np.array([place.middle_bytes for place in traffic.query_places], dtype=np.int64),
        # The rows come in the order of their digests: the first of a group has the least.
        conversations=digests[groups, 0],
        labels=labels,
        label_names=names,
        classes=np.zeros(len(labels), dtype=np.int64),
        class_names=[],
        stratified_by=stratify_by or "nothing",
        duplicates=traffic.duplicates,
        repeated=RepeatedRequests(),
        grouping=ConversationsReport(
            conversations=len(sizes),
            by_session=0,
            by_messages=0,
            by_likeness=int((sizes > 1).sum()),
            single=int((sizes == 1).sum()),
            largest=int(sizes.max(initial=0)),
        ),
        left_out={},
    )
