"""One row for each distinct request: the newest record of it. Keys and counters only, no messages."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Sequence

from include.flywheel.datasets.digests import calls_digest, text_digest
from include.flywheel.datasets.records import Record, conversation_key
from include.flywheel.datasets.report import RepeatedRequests

_Answer = tuple[int, int, int]
"""(digest of the response id or 0, digest of the names called, digest of the calls)."""


class RequestTable:
    """The distinct requests of a reading, as columns; row numbers follow the order of first sight.

    Which record is kept does not depend on the order of reading: the newest, and of equally old ones the one
    with the greater digest. Memory: about 250 bytes a row.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._conversations: dict[bytes, int] = {}
        self._labels: dict[str, int] = {}
        self._answers: tuple[array[int], array[int], array[int]] = (array("Q"), array("Q"), array("Q"))
        self._repeats: dict[int, Counter[_Answer]] = {}
        self._ties = array("Q")
        self.times_ms = array("q")
        self.offsets = array("q")
        self.lengths = array("q")
        self.conversations = array("q")
        self.labels = array("q")
        self.duplicates = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def digests(self) -> Sequence[bytes]:
        """Digest of each row's request, 16 bytes."""
        return list(self._rows)

    @property
    def conversation_keys(self) -> Sequence[bytes]:
        """Key of each conversation, 16 bytes; `conversations` holds indices into it."""
        return list(self._conversations)

    @property
    def label_names(self) -> Sequence[str]:
        """Name of each label; `labels` holds indices into it."""
        return list(self._labels)

    def row_labels(self) -> list[str]:
        """The name of each row's label."""
        names = self.label_names
        return [names[label] for label in self.labels]

    def add(self, record: Record, content: bytes, offset: int) -> None:
        """Enter a record whose `content` stands in the spool at `offset`."""
        tie = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
        answer = _answer(record)
        digest = record.digest
        row = self._rows.get(digest)
        if row is None:
            self._rows[digest] = len(self._rows)
            for column, value in zip(self._answers, answer, strict=True):
                column.append(value)
            for column in (self.times_ms, self.offsets, self.lengths, self.conversations, self.labels):
                column.append(0)
            self._ties.append(0)
            self._place(-1, record, tie, offset, len(content))
            return
        self.duplicates += 1
        first: _Answer = (self._answers[0][row], self._answers[1][row], self._answers[2][row])
        self._repeats.setdefault(row, Counter([first]))[answer] += 1
        if (record.timestamp_ms, tie) > (self.times_ms[row], self._ties[row]):
            self._place(row, record, tie, offset, len(content))

    def _place(self, row: int, record: Record, tie: int, offset: int, length: int) -> None:
        key = conversation_key(record.conversation_id)
        self._ties[row] = tie
        self.times_ms[row] = record.timestamp_ms
        self.offsets[row] = offset
        self.lengths[row] = length
        self.conversations[row] = self._conversations.setdefault(key, len(self._conversations))
        self.labels[row] = self._labels.setdefault(record.label, len(self._labels))

    def repeated(self) -> RepeatedRequests:
        """The requests with more than one answer, and how the answers agree."""
        answers = copies = 0
        agreement_name: list[float] = []
        agreement_name_and_args: list[float] = []
        for seen in self._repeats.values():
            distinct = Counter({answer: 1 if answer[0] else count for answer, count in seen.items()})
            copies += seen.total() - distinct.total()
            if distinct.total() < 2:
                continue
            answers += distinct.total()
            agreement_name.append(_agreement(distinct, 1))
            agreement_name_and_args.append(_agreement(distinct, 2))
        return RepeatedRequests(
            requests=len(agreement_name),
            answers=answers,
            copies=copies,
            agreement_name=_mean(agreement_name),
            agreement_name_and_args=_mean(agreement_name_and_args),
        )


def _answer(record: Record) -> _Answer:
    names = calls_digest((call.name, None) for call in record.calls)
    calls = calls_digest((call.name, call.arguments) for call in record.calls)
    return (text_digest(record.response_id) if record.response_id else 0, names, calls)


def _agreement(answers: Counter[_Answer], part: int) -> float:
    """Share of pairs of answers that are equal in that part."""
    groups: Counter[int] = Counter()
    for answer, count in answers.items():
        groups[answer[part]] += count
    total = answers.total()
    return sum(_pairs(count) for count in groups.values()) / _pairs(total)


def _mean(values: list[float]) -> float | None:
    # fsum is exact, so that the order of reading cannot show in the last digit.
    return math.fsum(values) / len(values) if values else None


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
