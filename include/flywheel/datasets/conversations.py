"""Which records without a session are steps of one conversation: one request's messages begin another's.

Hashes of all beginnings go to a scratch file, so that memory holds one number a record.
"""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HELD = 128 * 1024
_CHUNK = 1024 * 1024

Ints = NDArray[np.int64]


class Prefixes:
    """The beginnings of requests. The scratch file has no name and is gone with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by close)
        self._held = array("q")
        self._records, self._counts, self._whole = array("q"), array("I"), array("q")

    def close(self) -> None:
        """Drop the scratch file."""
        self._file.close()

    def add(self, record: int, hashes: list[int]) -> None:
        """Enter the hash of each beginning of a record's messages; the last is of all of them."""
        self._records.append(record)
        self._counts.append(len(hashes) - 1)
        self._whole.append(hashes[-1])
        self._held.extend(hashes[:-1])
        if len(self._held) > _HELD:
            self._spill()

    def groups(self) -> tuple[Ints, Ints]:
        """(record numbers, for each of them the number of its conversation)."""
        self._spill()
        records = np.frombuffer(self._records, np.int64)
        whole = np.frombuffer(self._whole, np.int64)
        if not len(records):
            return records, records
        order = np.argsort(whole, kind="stable")
        ranked = whole[order]
        # Equal requests are one node; a beginning is joined to the request that it equals.
        node = np.searchsorted(ranked, whole)
        ends = np.cumsum(np.frombuffer(self._counts, np.uint32), dtype=np.int64)
        joined = [self._matches(ranked, node, ends, start) for start in range(0, int(ends[-1]), _CHUNK)]
        return records, _components(node, joined)[node]

    def _matches(self, ranked: Ints, node: Ints, ends: Ints, start: int) -> tuple[Ints, Ints]:
        """Pairs of nodes, for one chunk of the beginnings: a request, and one that it begins with."""
        self._file.seek(8 * start)
        hashes = np.frombuffer(self._file.read(8 * _CHUNK), np.int64)
        owners = np.searchsorted(ends, np.arange(start, start + len(hashes)), side="right")
        found = np.minimum(np.searchsorted(ranked, hashes), len(ranked) - 1)
        match = ranked[found] == hashes
        return node[owners[match]], found[match]

    def _spill(self) -> None:
        self._file.seek(0, 2)
        self._file.write(self._held.tobytes())
        self._held = array("q")


def _components(node: Ints, joined: list[tuple[Ints, Ints]]) -> Ints:
    # Imported here: scipy takes a third of a second, and most readings have sessions.
    from scipy.sparse import coo_matrix  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    ends = [np.concatenate(side) for side in zip(*joined, strict=True)] or [node[:0], node[:0]]
    size = int(node.max()) + 1
    ones = np.ones(len(ends[0]), dtype=np.int8)
    graph: Any = coo_matrix((ones, (ends[0], ends[1])), shape=(size, size))
    components: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return components
