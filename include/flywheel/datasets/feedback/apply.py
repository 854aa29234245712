"""What judgements change between the split and the files: the training rows, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from include.flywheel.datasets.digests import calls_digest
from include.flywheel.datasets.feedback.correct import corrected
from include.flywheel.datasets.feedback.judgements import Judgement, answer_digest
from include.flywheel.datasets.feedback.match import Found, Matcher
from include.flywheel.datasets.feedback.report import FeedbackReport
from include.flywheel.datasets.feedback.use import FeedbackUse
from include.flywheel.datasets.records import item_id, read_record
from include.flywheel.datasets.split import Part
from include.flywheel.datasets.spool import Place
from include.flywheel.datasets.write import Writer
from include.flywheel.errors import NotEnoughRecords

LIKED_COPIES = 2
"""Lines of a liked answer, where feedback weighs: a weight of 2 against 1 of an unjudged one."""

NO_CLASS = -1
"""Of rows that are no real turn any more: never shown as an example."""


def apply_feedback(writer: Writer, matcher: Matcher, use: FeedbackUse) -> Writer:
    """The writer of the same split, whose training rows are as users judged them.

    Neither the holdout nor validation is chosen or changed. Raises NotEnoughRecords where no training row is
    left.
    """
    change = _Change(writer, use)
    judged = change.judged(matcher.found())
    for row, judgement in sorted(judged.items()):
        change.apply(row, judgement)
    if not np.any(change.parts == Part.TRAIN):
        raise NotEnoughRecords(
            f"users disliked every one of the {change.counts['removed']} training answers, nothing is "
            "left to train on: collect more, or set the workload's `feedback.use` to `off`"
        )
    known = matcher.judgements
    change.counts.update(
        read=known.read,
        superseded=known.superseded,
        not_found=len(known) - len(matcher.found()) - matcher.unusable,
        left_out=matcher.unusable,
    )
    names = set(FeedbackReport.model_fields) - {"use", "holdout", "agreement"}
    report = FeedbackReport(
        use=use.value,
        holdout=dict(sorted(change.holdout.items())),
        **{name: change.counts[name] for name in sorted(names)},
    )
    report.check()
    return replace(
        writer,
        gathered=replace(writer.gathered, requests=change.requests),
        parts=change.parts,
        copies=change.copies,
        feedback=report,
    )


class _Change:
    """Copies of what may change, and counts of what did."""

    def __init__(self, writer: Writer, use: FeedbackUse) -> None:
        requests = writer.gathered.requests
        self.requests = replace(
            requests,
            places=requests.places.copy(),
            row_bytes=requests.row_bytes.copy(),
            classes=requests.classes.copy(),
        )
        self.parts = writer.parts.copy()
        self.copies = np.ones(len(requests), dtype=np.int64)
        self.counts: Counter[str] = Counter()
        self.holdout: dict[str, int] = {}
        self._spool, self._kind, self._use = writer.spool, writer.gathered.kind.kind, use

    def judged(self, found: list[Found]) -> dict[int, Judgement]:
        """The judgement that holds for each row."""
        judged: dict[int, Judgement] = {}
        for row, one in self._rows(found):
            before = judged.get(row)
            if before is not None:
                self.counts["superseded"] += 1
            if before is None or one.age > before.age:
                judged[row] = one
        return judged

    def _rows(self, found: list[Found]) -> Iterator[tuple[int, Judgement]]:
        """The row that was kept of each judged record, where its answer is the judged one."""
        by_digest = self._by_digest({one.digest for one in found})
        for one in found:
            row = by_digest.get(one.digest)
            if row is None:
                self.counts["left_out"] += 1
            elif self.requests.place(row) == one.place or self._same_answer(row, one.place):
                yield row, one.judgement
            else:
                self.counts["another_answer"] += 1

    def _by_digest(self, wanted: set[bytes]) -> dict[bytes, int]:
        halves = np.array(sorted({int.from_bytes(one[:8], "big") for one in wanted}), dtype=np.uint64)
        rows = np.flatnonzero(np.isin(self.requests.digests[:, 0], halves)).tolist()
        return {self.requests.digest(row): row for row in rows}

    def _same_answer(self, row: int, place: Place) -> bool:
        kept, judged = (
            read_record(*self._spool.record(where)) for where in (self.requests.place(row), place)
        )
        calls = [calls_digest((call.name, call.arguments) for call in one.calls) for one in (kept, judged)]
        return calls[0] == calls[1] and answer_digest(kept.content) == answer_digest(judged.content)

    def apply(self, row: int, judgement: Judgement) -> None:
        """What the judgement does to its row, by the part that the row is in."""
        part = Part(self.parts[row])
        if part is Part.EVAL:
            self.holdout[item_id(self.requests.digest(row))] = judgement.rating
        if part is not Part.TRAIN:
            self.counts[_UNCHANGED[part]] += 1
        elif judgement.rating > 0:
            self.counts["liked"] += 1
            if self._use is FeedbackUse.WEIGHT:
                self.copies[row] = LIKED_COPIES
                self.counts["copies"] += LIKED_COPIES - 1
        elif judgement.correction is not None and self._correct(row, judgement.correction):
            self.counts["corrected"] += 1
        else:
            self.parts[row] = Part.DISLIKED
            self.counts["removed"] += 1
            self.counts["unusable_corrections"] += judgement.correction is not None

    def _correct(self, row: int, expected: str) -> bool:
        content = self._spool.record(self.requests.place(row))
        made = corrected(*content, expected, self._kind, self.requests.class_names)
        if made is None:
            return False
        self.requests.places[row] = tuple(self._spool.add(b"", made[0], b"", made[1]))
        self.requests.row_bytes[row] = len(made[0])
        self.requests.classes[row] = NO_CLASS
        return True


_UNCHANGED = {Part.VAL: "val", Part.EVAL: "eval", Part.HELD_OUT: "held_out"}
