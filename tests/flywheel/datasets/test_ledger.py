"""The run's ledger: it adds up or says so, and is readable."""

from __future__ import annotations

import pytest

from include.flywheel.datasets.ledger import RunLedger, ledger_lines
from include.flywheel.errors import DataError
from include.flywheel.logs.load import LoadLedger
from include.flywheel.logs.tally import Tally


def ledger(**changes):
    fields = {
        "in_store": 1200,
        "older_than_limit": 200,
        "records_read": 1000,
        "invalid": {"not JSON": Tally(count=7, example="dt=2024-06-01/x.jsonl:17")},
        "duplicates": 3,
        "train": 800,
        "val": 80,
        "eval": 100,
        "held_out_with_conversation": 10,
    }
    return RunLedger(**(fields | changes))


def test_it_adds_up():
    ledger().check()
    assert ledger().usable == 990


@pytest.mark.parametrize("changes", [{"in_store": 1201}, {"train": 801}, {"duplicates": 0}])
def test_it_says_when_it_does_not(changes):
    with pytest.raises(DataError, match="does not add up"):
        ledger(**changes).check()


def test_lines_are_aligned_and_name_an_example():
    lines = ledger_lines(ledger())
    assert lines[0] == "in the log store        1,200"
    assert lines[1] == "  older than the limit    200"
    assert lines[4] == "      not JSON              7  e.g. dt=2024-06-01/x.jsonl:17"


def test_a_report_is_shown_by_its_ledger(build, document, raws):
    report = build(raws([document(n) for n in range(20)])).report
    assert ledger_lines(report) == ledger_lines(report.ledger)


def test_the_loaders_ledger():
    loaded = LoadLedger(
        client_id="a",
        workload_id="b",
        lines_read=12,
        stored=10,
        already_stored=1,
        rejected={"blank line": Tally(count=1, example="x:3")},
    )
    assert ledger_lines(loaded) == [
        "lines read        12",
        "  stored          10",
        "  stored already   1",
        "  rejected         1",
        "    blank line     1  e.g. x:3",
    ]
