"""A row of feedback as lines of training files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

from include.flywheel.feedback.export.spec import Weights

Line = dict[str, Any]

METADATA = ("model", "rating", "timestamp", "intent", "project", "category", "reason", "expected_answer")
UNCORRECTED_MARK = "uncorrected_negative"
"""Stands, true, in the metadata of a disliked answer that is its own target."""


class FeedbackRow(NamedTuple):
    """What an export reads of a row, in the order of its columns."""

    feedback_id: str
    timestamp: datetime
    query: str
    response: str
    model: str
    rating: int
    expected_answer: str | None
    intent: str | None
    project: str | None
    category: str | None
    reason: str | None
    user_id: str | None = None

    @property
    def correction(self) -> str | None:
        """The user's own answer to a thumbs-down; None where it says nothing new."""
        expected = self.expected_answer
        if self.rating > 0 or expected is None or not expected.strip():
            return None
        return None if expected.strip() == self.response.strip() else expected

    @property
    def is_uncorrected(self) -> bool:
        """A thumbs-down without a correction: nobody knows what would have been right."""
        return self.rating < 0 and self.correction is None

    @property
    def target(self) -> str:
        """The answer that is trained on."""
        return self.correction or self.response


def metadata(row: FeedbackRow) -> Line:
    """What a line says of where it comes from."""
    said: Line = {name: getattr(row, name) for name in METADATA}
    # The contract's form: UTC, with the letter Z.
    said["timestamp"] = row.timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return said


def weight_of(row: FeedbackRow, weights: Weights) -> float:
    """How much the row counts."""
    return weights.thumbs_up if row.rating > 0 else weights.thumbs_down


def sft_line(row: FeedbackRow, weights: Weights) -> Line:
    """A weighted example. A disliked answer that stands for itself is marked."""
    said = metadata(row)
    if row.is_uncorrected:
        said[UNCORRECTED_MARK] = True
    return {"messages": _turn(row, row.target), "weight": weight_of(row, weights), "metadata": said}


def kto_line(row: FeedbackRow) -> Line:
    """An answer that was wanted or not (Kahneman-Tversky optimization, unpaired)."""
    return {
        "prompt": _turn(row)[:1],
        "completion": _turn(row, row.response)[1:],
        "label": row.rating > 0,
        "metadata": metadata(row),
    }


def dpo_line(row: FeedbackRow) -> Line | None:
    """The correction against the disliked answer; None where there is no correction."""
    if row.correction is None:
        return None
    return {
        "prompt": _turn(row)[:1],
        "chosen": _turn(row, row.correction)[1:],
        "rejected": _turn(row, row.response)[1:],
        "metadata": metadata(row),
    }


def nemo_line(row: FeedbackRow) -> Line:
    """An example without a weight; it is written `copies` times."""
    return {"messages": _turn(row, row.target)}


def copies(row_id: str | bytes, weight: float, seed: int) -> int:
    """How often a row of that weight is written: the weight's whole part, and once more with its fraction
    as probability.

    Decided by a hash of the row's id and the seed: the same row always falls the same way, whatever else is
    exported.
    """
    whole = int(weight)
    name = row_id.encode() if isinstance(row_id, str) else row_id
    digest = hashlib.blake2b(name, digest_size=8, key=seed.to_bytes(16, "big", signed=True)).digest()
    return whole + (int.from_bytes(digest, "big") < (weight - whole) * 2**64)


def _turn(row: FeedbackRow, answer: str = "") -> list[Line]:
    return [{"role": "user", "content": row.query}, {"role": "assistant", "content": answer}]
