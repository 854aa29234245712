"""What the sets contain and what they share, measured on the rows that are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from include.flywheel.datasets.digests import request_digest
from include.flywheel.datasets.records import Record, conversation_key
from include.flywheel.datasets.report import Overlap, SetReport


class SetMeasure:
    """One set: its counts, and what it shares with the sets that were written before it.

    :param earlier: these sets, by name; they kept the keys of their requests.
    :param keeps_requests: whether a later set is to be compared with this one.
    """

    def __init__(self, earlier: Mapping[str, SetMeasure], *, keeps_requests: bool) -> None:
        self._labels: Counter[str] = Counter()
        self._earlier = earlier
        self._keeps_requests = keeps_requests
        self._requests: set[bytes] = set()
        self._conversations: set[bytes] = set()
        self.shared_requests = dict.fromkeys(earlier, 0)

    def add(self, record: Record, request: bytes) -> None:
        """Count a row; `request` is the digest of the request as the row holds it."""
        self._labels[record.label] += 1
        self._conversations.add(conversation_key(record.conversation_id))
        if self._keeps_requests:
            self._requests.add(request)
        for name, other in self._earlier.items():
            self.shared_requests[name] += request in other._requests

    @property
    def records(self) -> int:
        """Rows counted."""
        return self._labels.total()

    def shared_conversations(self) -> dict[str, int]:
        """Conversations in common with each earlier set."""
        mine = self._conversations
        return {name: len(mine & other._conversations) for name, other in self._earlier.items()}

    def report(self) -> SetReport:
        """Records, conversations and labels."""
        return SetReport(
            records=self.records,
            conversations=len(self._conversations),
            labels=dict(sorted(self._labels.items())),
        )


class Measures:
    """The three sets. They are to be written in the order eval, val, train: the small ones are remembered."""

    def __init__(self) -> None:
        self.eval = SetMeasure({}, keeps_requests=True)
        self.val = SetMeasure({"eval": self.eval}, keeps_requests=True)
        self.train = SetMeasure({"eval": self.eval, "val": self.val}, keeps_requests=False)

    def overlap(self) -> Overlap:
        """Requests and conversations in common, for each pair: `eval/val`, `eval/train`, `val/train`."""
        later = {"val": self.val, "train": self.train}
        return Overlap(
            requests={
                f"{first}/{name}": count
                for name, measured in later.items()
                for first, count in measured.shared_requests.items()
            },
            conversations={
                f"{first}/{name}": count
                for name, measured in later.items()
                for first, count in measured.shared_conversations().items()
            },
        )


def request_of_training_row(row: Mapping[str, Any]) -> bytes:
    """Digest of the request in a row of train or val: all messages but the answer, and the tools."""
    return request_digest(row["messages"][:-1], row.get("tools", []))


def request_of_eval_row(row: Mapping[str, Any]) -> bytes:
    """Digest of the request in a row of eval."""
    return request_digest(row["request"]["messages"], row["request"].get("tools", []))
