"""Users' judgements of one workload, by what finds their answer in the production log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from include.flywheel.datasets.digests import canonical_digest, text_digest


class FeedbackRecord(NamedTuple):
    """A row of feedback as far as a data set needs it."""

    feedback_id: str
    timestamp_ms: int
    rating: int
    query: str
    response: str
    expected_answer: str | None
    trace_id: str | None


class Judgement(NamedTuple):
    """What a user said of one answer.

    :param response: digest of the answer's text, which tells the answer among the calls of one trace.
    :param correction: the user's own answer to a thumbs-down; None where it says nothing new.
    """

    timestamp_ms: int
    feedback_id: str
    rating: int
    response: int
    correction: str | None

    @property
    def age(self) -> tuple[int, str]:
        """Of two judgements of one answer the one with the greater age holds: the newest."""
        return self.timestamp_ms, self.feedback_id


@dataclass(slots=True)
class Judgements:
    """Judgements by trace, and those without a trace by the digest of query and response.

    Of several judgements of one answer the newest holds; the others are counted as superseded.
    """

    by_trace: dict[str, Judgement] = field(default_factory=dict)
    by_text: dict[bytes, Judgement] = field(default_factory=dict)
    responses: set[int] = field(default_factory=set)
    read: int = 0
    superseded: int = 0

    @classmethod
    def of(cls, records: Iterable[FeedbackRecord]) -> Judgements:
        """The judgements in these rows, in whatever order they come."""
        made = cls()
        for record in records:
            made._add(record)
        return made

    def _add(self, record: FeedbackRecord) -> None:
        self.read += 1
        response = answer_digest(record.response)
        judgement = Judgement(
            record.timestamp_ms, record.feedback_id, record.rating, response, _correction(record)
        )
        if record.trace_id:
            kept = self.by_trace.setdefault(record.trace_id, judgement)
        else:
            self.responses.add(response)
            kept = self.by_text.setdefault(text_key(record.query, record.response), judgement)
        if kept is judgement:
            return
        self.superseded += 1
        if judgement.age > kept.age:
            if record.trace_id:
                self.by_trace[record.trace_id] = judgement
            else:
                self.by_text[text_key(record.query, record.response)] = judgement

    def __len__(self) -> int:
        """The judgements that hold."""
        return len(self.by_trace) + len(self.by_text)


def text_key(query: str, response: str) -> bytes:
    """16 bytes that stand for a query and its answer, but for white space around them."""
    return canonical_digest({"query": query.strip(), "response": response.strip()})


def answer_digest(text: str) -> int:
    """64 bits that stand for an answer's text, but for white space around it."""
    return text_digest(text.strip())


def _correction(record: FeedbackRecord) -> str | None:
    expected = record.expected_answer
    if record.rating > 0 or expected is None or not expected.strip():
        return None
    return None if expected.strip() == record.response.strip() else expected
