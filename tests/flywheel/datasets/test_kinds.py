"""What a workload is: found by the shares of its records, or said; what is left out has a reason."""

from __future__ import annotations

import pytest

from include.flywheel.datasets.kinds import Form, Kind, find_kind, form_of, label_of, left_out
from include.flywheel.datasets.reasons import Reason
from include.flywheel.errors import DataError


@pytest.mark.parametrize(
    ("forms", "labels", "kind"),
    [
        ({Form.CALL: 1, Form.PLAIN_TEXT: 999}, 3, Kind.CHAT),
        ({Form.CALL: 250, Form.PLAIN_TEXT: 750}, None, Kind.TOOL_CALLING),
        ({Form.CALL: 249, Form.PLAIN_TEXT: 751}, None, Kind.CHAT),
        ({Form.PLAIN_LABEL: 95, Form.PLAIN_TEXT: 5}, 4, Kind.CLASSIFICATION),
        ({Form.DECLINED_LABEL: 100}, 10, Kind.CLASSIFICATION),
        ({Form.PLAIN_LABEL: 89, Form.PLAIN_TEXT: 11}, 4, Kind.CHAT),
        ({Form.PLAIN_LABEL: 100}, 11, Kind.CHAT),
        ({Form.PLAIN_LABEL: 100}, 1, Kind.CHAT),
        ({Form.PLAIN_LABEL: 100}, None, Kind.CHAT),
        ({}, 0, Kind.CHAT),
    ],
)
def test_the_kind_by_the_shares(forms, labels, kind):
    assert find_kind(forms, labels).kind is kind


def test_one_tool_call_among_a_thousand_chats_leaves_them_a_chat(gathered, document):
    documents = [document(n, tool=None, text=f"A longer answer to {n}.") for n in range(200)]
    documents.append(document(999))
    found = gathered(documents)
    assert found.kind.kind is Kind.CHAT
    assert len(found.requests) == 200
    [(reason, tally)] = found.ledger().invalid.items()
    assert (reason, tally.count, tally.example) == (Reason.CALLS_A_TOOL.value, 1, "x:200")


def test_chats_among_tool_calls_say_why_they_are_left_out(gathered, document):
    chat = document(1, tool=None)
    del chat["request"]["tools"]
    found = gathered([chat, *(document(n) for n in range(2, 9)), document(9, tool=None)])
    assert found.kind.kind is Kind.TOOL_CALLING
    assert found.kind.because == "77.8 % of 9 valid records call a tool"
    assert len(found.requests) == 8
    assert found.ledger().invalid[Reason.OFFERS_NO_TOOLS.value].example == "x:0"


def test_a_classification_is_stratified_by_its_label(gathered, document):
    documents = [document(n, tool=None, text=["billing", "refund "][n % 2]) for n in range(40)]
    documents.append(document(99, tool=None, text="I am not sure.\nIt may be billing."))
    found = gathered(documents)
    assert found.kind.kind is Kind.CLASSIFICATION
    assert (found.requests.label_names, found.requests.stratified_by) == (["billing", "refund"], "label")
    assert found.ledger().invalid[Reason.NO_LABEL.value].count == 1


def test_rows_of_a_classification_carry_the_label(build, document, raws):
    documents = [document(n, tool=None, text=["billing", "refund "][n % 2]) for n in range(40)]
    built = build(raws(documents), eval_size=10, icl=None)
    assert built.report.kind == "classification"
    assert {row["label"] for row in built.rows("eval")} == {"billing", "refund"}
    assert built.report.eval.labels == {"billing": 5, "refund": 5}
    assert all(row["tool_calls"] == [] for row in built.rows("eval"))


def test_a_kind_that_cannot_be_decided_is_refused_before_the_split(build, document, raws):
    lines = raws([document(n, tool=None, text=f"An answer.\nTo {n}.") for n in range(30)])
    with pytest.raises(DataError, match=r"the workload is chat \(0\.0 % of 30 .* only tool calling can be"):
        build(lines, eval_size=500, only=Kind.TOOL_CALLING)


def test_what_the_workload_says_is_not_guessed(gathered, document):
    documents = [document(n, tool=None, text="yes") for n in range(40)]
    found = gathered(documents, kind=Kind.TOOL_CALLING)
    assert (found.kind.kind, found.kind.because) == (Kind.TOOL_CALLING, "set by the workload")
    assert found.requests.label_names == ["no tool"]


def test_a_duplicate_of_a_record_that_is_left_out_takes_nothing_with_it(gathered, document):
    text = document(1, tool=None, text="A longer answer.", at=9)
    found = gathered(
        [document(1, at=1), text, *(document(n, tool=None, text="Text.\nText.") for n in range(2, 9))]
    )
    assert found.kind.kind is Kind.CHAT
    assert (found.requests.duplicates, len(found.requests)) == (0, 8)


@pytest.mark.parametrize(
    ("content", "label"),
    [("yes", "yes"), (" yes\n", "yes"), ("a\nb", None), ("", None), ("x" * 64, "x" * 64), ("x" * 65, None)],
)
def test_labels(content, label):
    assert label_of(content) == label


def test_every_form_belongs_to_some_kind():
    for form in Form:
        assert any(left_out(kind, form) is None for kind in Kind)
    assert form_of("", calls=True, tools=True) is Form.CALL
    assert form_of("yes", calls=False, tools=False) is Form.PLAIN_LABEL
    assert form_of("a\nb", calls=False, tools=True) is Form.DECLINED
