"""What the sets contain and what they share, measured over the rows that were written."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.deduplicate import Requests
from include.flywheel.datasets.report import Lengths, Overlap, SetReport

Rows = NDArray[np.int64]


def set_report(requests: Requests, rows: Rows) -> SetReport:
    """Counts, labels, times and lengths of the rows of one set."""
    counts = np.bincount(requests.labels[rows], minlength=len(requests.label_names))
    times = requests.times_ms[rows]
    return SetReport(
        records=len(rows),
        conversations=len(np.unique(requests.conversations[rows])),
        labels={name: int(count) for name, count in zip(requests.label_names, counts, strict=True) if count},
        first_timestamp_ms=int(times.min()) if len(times) else None,
        last_timestamp_ms=int(times.max()) if len(times) else None,
        row_bytes=_lengths(requests.row_bytes[rows]),
    )


def overlap(requests: Requests, sets: dict[str, Rows]) -> Overlap:
    """Requests and conversations in common, for each pair of sets: `eval/val`, `eval/train`, `val/train`."""
    in_requests, in_conversations = {}, {}
    for (first, mine), (second, theirs) in combinations(sets.items(), 2):
        pair = f"{first}/{second}"
        in_requests[pair] = len(np.intersect1d(requests.digests[mine, 0], requests.digests[theirs, 0]))
        in_conversations[pair] = len(
            np.intersect1d(requests.conversations[mine], requests.conversations[theirs])
        )
    return Overlap(requests=in_requests, conversations=in_conversations)


def _lengths(values: Rows) -> Lengths | None:
    if not len(values):
        return None
    half, most = np.percentile(values, [50, 95], method="higher").tolist()
    return Lengths(p50=int(half), p95=int(most), max=int(values.max()))
