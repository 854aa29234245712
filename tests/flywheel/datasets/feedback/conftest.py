"""Judgements of the answers of a small workload."""

from __future__ import annotations

import pytest

from include.flywheel.datasets.build import Feedback
from include.flywheel.datasets.feedback.judgements import FeedbackRecord, Judgements
from include.flywheel.datasets.feedback.use import FeedbackUse


def _judge(number, rating, *, expected=None, trace=None, at=0, query="q", response="r", id=None):
    return FeedbackRecord(
        id or f"f{number}-{at}",
        at,
        rating,
        query,
        response,
        expected,
        f"t{number}" if trace is None else trace or None,
    )


@pytest.fixture(scope="session")
def judge():
    """A judgement of the record with trace `t<number>`."""
    return _judge


@pytest.fixture(scope="session")
def feedback():
    def make(*records, use="filter"):
        return Feedback(Judgements.of(records), FeedbackUse(use))

    return make


@pytest.fixture(scope="session")
def traced(document, raws):
    """A workload of `count` records, each a conversation and a trace of its own."""

    def make(count=40, **fields):
        return raws(
            document(n, session=f"s{n}", trace_id=f"t{n}", **{key: value(n) for key, value in fields.items()})
            for n in range(count)
        )

    return make
