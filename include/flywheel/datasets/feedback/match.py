"""Finds the judged answers among the log lines, as these are read."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import orjson

from include.flywheel.datasets.feedback.judgements import Judgement, Judgements, answer_digest, text_key
from include.flywheel.datasets.spool import Place
from include.flywheel.datasets.validate import Sample


class Found(NamedTuple):
    """A judged answer in the spool.

    :param rank: of several records that one judgement could mean, the one with the greatest is meant.
    """

    rank: tuple[bool, int, bytes, int]
    judgement: Judgement
    digest: bytes
    place: Place


class _Traced(msgspec.Struct):
    trace_id: Any = None


_trace = msgspec.json.Decoder(_Traced).decode


class Matcher:
    """Told every line of a reading, in any order; remembers the judged ones.

    A trace may hold several model calls: the one that answered with the judged text is meant, else the last.
    """

    def __init__(self, judgements: Judgements) -> None:
        self.judgements = judgements
        self._by_trace: dict[str, Found] = {}
        self._by_text: dict[bytes, Found] = {}
        self._unusable: set[str] = set()

    def valid(self, line: bytes, sample: Sample, place: Place) -> None:
        """A record that may go into the sets."""
        trace_id = self._trace_of(line)
        if trace_id is not None:
            self._keep(self._by_trace, trace_id, self.judgements.by_trace[trace_id], sample, place)
        if self.judgements.responses and answer_digest(sample.content) in self.judgements.responses:
            key = text_key(_last_question(line), sample.content)
            judgement = self.judgements.by_text.get(key)
            if judgement is not None:
                self._keep(self._by_text, key, judgement, sample, place)

    def invalid(self, line: bytes) -> None:
        """A line that cannot be used."""
        trace_id = self._trace_of(line)
        if trace_id is not None:
            self._unusable.add(trace_id)

    def found(self) -> list[Found]:
        """The judged answers, one for each judgement that found any."""
        return [*self._by_trace.values(), *self._by_text.values()]

    @property
    def unusable(self) -> int:
        """Judgements whose only records cannot be used."""
        return len(self._unusable - self._by_trace.keys())

    def _trace_of(self, line: bytes) -> str | None:
        """The line's trace where it is a judged one."""
        if not self.judgements.by_trace:
            return None
        try:
            trace_id = _trace(line).trace_id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return trace_id if isinstance(trace_id, str) and trace_id in self.judgements.by_trace else None

    def _keep(
        self, among: dict[Any, Found], key: Any, judgement: Judgement, sample: Sample, place: Place
    ) -> None:
        same = answer_digest(sample.content) == judgement.response
        # The answer's own digest settles ties, so that the order of reading cannot show.
        rank = (same, sample.timestamp_ms, sample.digest, answer_digest(sample.content))
        before = among.get(key)
        if before is None or rank > before.rank:
            among[key] = Found(rank, judgement, sample.digest, place)


def _last_question(line: bytes) -> str:
    """The text of the last message of the user in a line that is valid."""
    messages = orjson.loads(line)["request"]["messages"]
    said = next((one.get("content") for one in reversed(messages) if one.get("role") == "user"), None)
    if isinstance(said, list):
        said = "".join(part.get("text", "") for part in said if isinstance(part, dict))
    return said if isinstance(said, str) else ""
