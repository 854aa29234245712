"""How well the production model agrees with itself: requests that the log holds more than once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from include.flywheel.datasets.digests import calls_digest, text_digest
from include.flywheel.datasets.records import Record
from include.flywheel.datasets.report import RepeatedRequests

_Answer = tuple[int, int, int]
"""(digest of the response id or 0, digest of the names called or of the text, digest of the whole answer)."""


def repeated_requests(
    groups: Iterable[list[int]], read: Callable[[int], Record], *, texts: bool
) -> RepeatedRequests:
    """The requests with more than one answer, and how the answers agree.

    :param groups: numbers of the records of each request that occurs more than once.
    :param read: the record of a number.
    :param texts: whether answers in text must be the same text (but for white space); in a tool-calling
        workload they agree in that they call no tool.
    """
    requests = answers = copies = 0
    agreement_name: list[float] = []
    agreement_name_and_args: list[float] = []
    for group in groups:
        seen = Counter(_answer(read(number), texts=texts) for number in group)
        # A copy of one call is no second answer.
        distinct = Counter({answer: 1 if answer[0] else count for answer, count in seen.items()})
        copies += seen.total() - distinct.total()
        if distinct.total() < 2:
            continue
        requests += 1
        answers += distinct.total()
        agreement_name.append(_agreement(distinct, 1))
        agreement_name_and_args.append(_agreement(distinct, 2))
    return RepeatedRequests(
        requests=requests,
        answers=answers,
        copies=copies,
        agreement_name=_mean(agreement_name),
        agreement_name_and_args=_mean(agreement_name_and_args),
    )


def _answer(record: Record, *, texts: bool) -> _Answer:
    response = text_digest(record.response_id) if record.response_id else 0
    if texts:
        text = text_digest(" ".join(record.content.split()))
        return response, text, text
    names = calls_digest((call.name, None) for call in record.calls)
    return response, names, calls_digest((call.name, call.arguments) for call in record.calls)


def _agreement(answers: Counter[_Answer], part: int) -> float:
    """Share of pairs of answers that are equal in that part."""
    groups: Counter[int] = Counter()
    for answer, count in answers.items():
        groups[answer[part]] += count
    return sum(_pairs(count) for count in groups.values()) / _pairs(answers.total())


def _mean(values: list[float]) -> float | None:
    # fsum is exact, so that the order of reading cannot show in the last digit.
    return math.fsum(values) / len(values) if values else None


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
