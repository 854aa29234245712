"""What a recorder asks of the place where records are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Line:
    """One record, ready to be written.

    :param id: its own for ever, so that a second delivery can be told from a second record.
    :param body: its JSON document in UTF-8, without a newline in it or after it.
    """

    id: str
    timestamp_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one line.

    :param state: `written`, `retry` or `refused`.
    :param detail: why, for the log of the application; quotes nothing of the record.
    """

    state: str
    detail: str = ""


WRITTEN = Outcome("written")
RETRY = Outcome("retry")


def refused(detail: str) -> Outcome:
    """The outcome of a line that this sink will never take."""
    return Outcome("refused", detail)


class Sink(Protocol):
    """Where records go. One thread calls it, in a forked process another one than before the fork."""

    def write(self, lines: Sequence[Line]) -> list[Outcome]:
        """Write `lines`; one outcome for each, in their order. Raising means: none is known to be written.

        Lines whose outcome is `retry` come again, also those of a write that raised; a line that did arrive
        must then count as written.
        """

    def close(self) -> None:
        """Release what is held. A later write may open it again."""
