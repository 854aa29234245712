"""One row for each distinct request: the newest record of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.columns import MAX_STRATA, NO_LABEL, Columns, Names
from include.flywheel.datasets.kinds import Form, Kind, left_out
from include.flywheel.datasets.reasons import Reason
from include.flywheel.datasets.records import Record, read_record
from include.flywheel.datasets.repeated import repeated_requests
from include.flywheel.datasets.report import ConversationsReport, RepeatedRequests
from include.flywheel.datasets.spool import Place, Spool
from include.flywheel.errors import ConfigError

NO_LABEL_NAME = "no label"
UNIFORM = "all"
"""The one label of a workload without labels."""

_BY_DEFAULT = {Kind.TOOL_CALLING: "tool", Kind.CLASSIFICATION: "label", Kind.CHAT: "intent"}

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Requests:
    """The distinct requests, in the order of their digests, so that the order of reading cannot show.

    :param digests: (n, 2): the two halves of each digest.
    :param places: where each row's record stands in the spool (fields of `Place`).
    :param row_bytes: length of each training row.
    :param conversations: the key of each row's conversation.
    :param labels: what the split is stratified by: index into `label_names`, which are sorted.
    :param classes: what examples cover, tools or labels: index into `class_names`, which are sorted.
    """

    digests: Keys
    times_ms: Ints
    places: NDArray[np.void]
    row_bytes: Ints
    conversations: Keys
    labels: Ints
    label_names: list[str]
    classes: Ints
    class_names: list[str]
    stratified_by: str
    duplicates: int
    repeated: RepeatedRequests
    grouping: ConversationsReport
    left_out: dict[Reason, tuple[int, str]]

    def __len__(self) -> int:
        return len(self.times_ms)

    def digest(self, row: int) -> bytes:
        """The digest of a row's request, 16 bytes."""
        content: bytes = self.digests[row].astype(">u8").tobytes()
        return content

    def place(self, row: int) -> Place:
        """Where the record of a row stands in the spool."""
        return Place(*self.places[row].item())


def deduplicate(columns: Columns, spool: Spool, kind: Kind, stratify_by: str | None) -> Requests:
    """Leave out what is of another kind, then keep the newest record of each request.

    Which of several equally old ones is kept depends on their content, not on the order of reading.
    """
    rows = columns.rows()
    groups = _grouped(rows, kind, spool)
    kept = groups.newest(rows["time_ms"])
    conversations, grouping = _conversations(columns, kept)
    labels, names, stratified_by = _labels(columns, kept, kind, stratify_by)
    classes, class_names, _ = _labels(columns, kept, kind, None) if stratify_by else (labels, names, "")
    places = rows["place"][kept]
    shared = np.array(spool.shared_lengths())
    return Requests(
        digests=rows["digest"][kept].astype(np.uint64),
        times_ms=rows["time_ms"][kept],
        places=places,
        row_bytes=shared[places["head"]] + places["middle_bytes"] + shared[places["tail"]],
        conversations=conversations,
        labels=labels,
        label_names=names,
        classes=classes,
        class_names=class_names,
        stratified_by=stratified_by,
        duplicates=len(groups.order) - len(kept),
        repeated=repeated_requests(groups.repeated(), groups.record, texts=kind is not Kind.TOOL_CALLING),
        grouping=grouping,
        left_out=_left_out(columns, kind),
    )


def _grouped(rows: NDArray[np.void], kind: Kind, spool: Spool) -> _Groups:
    """The records of that kind, those with the same request side by side."""
    mine = np.flatnonzero(np.isin(rows["form"], [form for form in Form if left_out(kind, form) is None]))
    high, low = (rows["digest"][mine, half].astype(np.uint64) for half in (0, 1))
    order = np.lexsort((rows["time_ms"][mine], low, high))
    high, low = high[order], low[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(order)) - 1 if len(order) else first
    return _Groups(rows, spool, mine[order], first, last)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Records by request: those of a group stand side by side in `order`, oldest first."""

    rows: NDArray[np.void]
    spool: Spool
    order: Ints
    first: Ints
    last: Ints

    def newest(self, times: Ints) -> Ints:
        """The record of each group that is kept."""
        kept = self.order[self.last]
        tied = (self.last > self.first) & (times[kept] == times[self.order[np.maximum(self.last - 1, 0)]])
        for group in np.flatnonzero(tied).tolist():
            members = self.order[self.first[group] : self.last[group] + 1]
            newest = members[times[members] == times[kept[group]]]
            kept[group] = max(newest.tolist(), key=self._content)
        return kept

    def repeated(self) -> list[list[int]]:
        """The groups of more than one record."""
        several = np.flatnonzero(self.last > self.first)
        return [self.order[self.first[group] : self.last[group] + 1].tolist() for group in several]

    def record(self, number: int) -> Record:
        """The record of that number."""
        return read_record(*self._content(number))

    def _content(self, number: int) -> tuple[bytes, bytes]:
        return self.spool.record(Place(*self.rows["place"][number].item()))


def _conversations(columns: Columns, kept: Ints) -> tuple[Keys, ConversationsReport]:
    """The key of each kept row's conversation: of its session, or the least digest among its steps."""
    keys = columns.rows()["conversation"].copy()
    without, group = columns.prefixes.groups()
    if len(without):
        least = np.full(int(group.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(least, group, columns.rows()["digest"][without, 0].astype(np.uint64))
        keys[without] = least[group]
    named = np.ones(len(keys), dtype=np.bool_)
    named[without] = False
    mine, has_session = keys[kept], named[kept]
    sizes = np.unique(mine, return_counts=True)[1]
    by_messages = np.unique(mine[~has_session], return_counts=True)[1]
    return mine, ConversationsReport(
        conversations=len(sizes),
        by_session=len(np.unique(mine[has_session])),
        by_messages=int((by_messages > 1).sum()),
        single=int((by_messages == 1).sum()),
        largest=int(sizes.max(initial=0)),
    )


def _labels(columns: Columns, kept: Ints, kind: Kind, stratify_by: str | None) -> tuple[Ints, list[str], str]:
    """(label of each row, names, what they are)."""
    rows = columns.rows()
    by = stratify_by or _BY_DEFAULT[kind]
    if by == "tool":
        return *_ranked(rows["tool"][kept], columns.tool_names), by
    if by == "label":
        return *_ranked(rows["label"][kept], columns.label_names), by
    if columns.too_many_strata and stratify_by is not None:
        raise ConfigError(
            f"`stratify_by` = {stratify_by!r}: the field has more than {MAX_STRATA:,} different values; "
            "name a field of the log records with a few, or leave it out"
        )
    if stratify_by is None and (columns.too_many_strata or len(columns.stratum_names) < 2):
        return np.zeros(len(kept), dtype=np.int64), [UNIFORM], "nothing"
    return *_ranked(rows["stratum"][kept], columns.stratum_names), by


def _ranked(numbers: Ints, names: Names) -> tuple[Ints, list[str]]:
    """Numbers as ranks of the names that occur, sorted."""
    known = names.names()
    found, inverse = np.unique(numbers, return_inverse=True)
    occurring = [NO_LABEL_NAME if number == NO_LABEL else known[number] for number in found.tolist()]
    by_name = sorted(range(len(occurring)), key=occurring.__getitem__)
    rank = np.empty(len(by_name), dtype=np.int64)
    rank[by_name] = np.arange(len(by_name))
    return rank[inverse], [occurring[number] for number in by_name]


def _left_out(columns: Columns, kind: Kind) -> dict[Reason, tuple[int, str]]:
    found: dict[Reason, tuple[int, str]] = {}
    for form, count in columns.forms().items():
        reason = left_out(kind, form)
        if reason is not None:
            before, example = found.get(reason, (0, columns.first_seen[form]))
            found[reason] = (before + count, example)
    return found
