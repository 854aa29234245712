"""100,000 damaged lines: nothing crashes, everything is counted, and both ways to decode agree."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import orjson
import pytest

from include.flywheel.datasets.envelope import look_closely
from include.flywheel.datasets.reasons import Reason
from include.flywheel.datasets.validate import Validator

LINES = 100_000


def _module(name):
    path = Path(__file__).parents[2] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lines():
    return [line + b"\n" for line in _module("mutations").mutated_lines(LINES, seed=11)]


def test_every_line_is_accounted_for(build, lines):
    built = build(lines, eval_size=100, icl=None)
    ledger = built.report.ledger
    assert ledger.records_read == LINES
    assert ledger.invalid_count + ledger.duplicates + ledger.usable == LINES
    assert ledger.invalid_count > LINES / 10
    assert ledger.usable > LINES / 4
    assert {*ledger.invalid} <= {reason.value for reason in Reason}
    for tally in ledger.invalid.values():
        line = lines[int(tally.example.removeprefix("x:"))]
        assert isinstance(line, bytes)
    for name in ("train", "val", "eval"):
        assert len(built.rows(name)) == getattr(ledger, name)
    assert built.report.overlap.none


def test_what_is_decoded_in_one_go_and_what_is_looked_at_closely_agree(lines):
    """A line that fits the types of the envelope says the same when it is taken apart field by field.

    Only a field that nobody looks at may hold what the strict decoder refuses (1e999, half a surrogate pair).
    """
    fast, slow = Validator(), Validator()
    slow._decode = lambda line: look_closely(line, None)
    reasons, passed_over = set(), 0
    for line in lines[: LINES // 4]:
        first, second = fast(line), slow(line)
        if isinstance(first, Reason):
            assert isinstance(second, Reason), (line, first)
            reasons.add(first)
        elif isinstance(second, Reason):
            assert second is Reason.NOT_JSON, line
            passed_over += 1
        else:
            assert first.digest == second.digest
            assert _row(first) == _row(second), line
    assert len(reasons) > 8
    assert passed_over < LINES / 400


def _row(sample):
    return orjson.loads(sample.head + sample.middle + sample.tail), sample.timestamp_ms, sample.session_id
