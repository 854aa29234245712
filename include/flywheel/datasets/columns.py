"""The valid records of a reading as columns: keys and counters, no messages."""

from __future__ import annotations

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.conversations import Prefixes
from include.flywheel.datasets.kinds import MAX_LABELS, Form, KindFound, find_kind, label_of
from include.flywheel.datasets.records import NO_TOOL, conversation_key
from include.flywheel.datasets.spool import Place
from include.flywheel.datasets.validate import Sample

MAX_STRATA = 10_000
"""A field with more values than this is no stratum."""

NO_LABEL = -1


class Names:
    """Names by number, in the order of first sight."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, name: str) -> int:
        """The number of a name; a new one gets the next."""
        return self._numbers.setdefault(name, len(self._numbers))

    def names(self) -> list[str]:
        """All names; a name's number is its index."""
        return list(self._numbers)


ROW = np.dtype(
    [
        ("digest", ">u8", 2),
        ("time_ms", "<i8"),
        ("conversation", "<u8"),
        ("place", [("offset", "<u8"), *((name, "<u4") for name in Place._fields[1:])]),
        ("tool", "<i4"),
        ("label", "<i4"),
        ("stratum", "<i4"),
        ("form", "u1"),
    ]
)
_PACK = Struct("<16sqQQIIIIiiiB").pack


class Columns:
    """One row a valid record, of the fields of ROW; `first_seen` holds where each form occurred first.

    `label` is NO_LABEL where an answer is no label, and everywhere once there were more than MAX_LABELS.
    """

    def __init__(self, prefixes: Prefixes) -> None:
        self._rows = bytearray()
        self._last_session: tuple[str | None, int] = (None, 0)
        self.prefixes = prefixes
        self.tool_names, self.label_names, self.stratum_names = Names(), Names(), Names()
        self.first_seen: dict[Form, str] = {}

    def __len__(self) -> int:
        return len(self._rows) // ROW.itemsize

    def rows(self) -> NDArray[np.void]:
        """All rows; no more can be added while the result is in use."""
        return np.frombuffer(self._rows, ROW)

    def add(self, sample: Sample, place: Place) -> None:
        """Enter a sample that stands at `place` in the spool."""
        if sample.session_id is None:
            conversation = 0
            self.prefixes.add(len(self), sample.prefixes)
        else:
            conversation = self._session(sample.session_id)
        self._rows += _PACK(
            sample.digest,
            sample.timestamp_ms,
            conversation,
            *place,
            self.tool_names.number(sample.tool or NO_TOOL),
            NO_LABEL if sample.tool else self._label(sample.content),
            0 if self.too_many_strata else self.stratum_names.number(sample.stratum),
            sample.form,
        )

    @property
    def too_many_strata(self) -> bool:
        """Whether the field has so many values that nothing can be stratified by it."""
        return len(self.stratum_names) > MAX_STRATA

    def _session(self, session_id: str) -> int:
        last, key = self._last_session
        if session_id != last:
            key = conversation_key(session_id)
            self._last_session = (session_id, key)
        return key

    def _label(self, content: str) -> int:
        if len(self.label_names) > MAX_LABELS:
            return NO_LABEL
        label = label_of(content)
        return NO_LABEL if label is None else self.label_names.number(label)

    def forms(self) -> dict[Form, int]:
        """Records of each form."""
        found, counts = np.unique(self.rows()["form"], return_counts=True)
        return {Form(form): count for form, count in zip(found.tolist(), counts.tolist(), strict=True)}

    def found_kind(self) -> KindFound:
        """The kind of the workload, by the shares of its records."""
        labels = len(self.label_names)
        return find_kind(self.forms(), None if labels > MAX_LABELS else labels)
