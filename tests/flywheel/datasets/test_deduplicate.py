"""One row a request, the newest; and what repeated requests tell about the answers."""

from __future__ import annotations

import itertools

import pytest

from include.flywheel.datasets.digests import calls_digest


@pytest.fixture
def requests(gathered):
    return lambda documents: gathered(documents).requests


def test_the_newest_is_kept_in_any_order(requests, document):
    answers = ((5, "track"), (9, "refund"), (7, None))
    documents = [document(1, at=at, session=f"s{at}", tool=tool) for at, tool in answers]
    for order in itertools.permutations(documents):
        made = requests(order)
        assert (len(made), made.duplicates) == (1, 2)
        assert made.times_ms[0] == documents[1]["timestamp"]
        assert made.label_names == ["refund"]


def test_of_equally_old_records_the_same_is_kept_in_any_order(requests, document):
    documents = [document(1, at=5, tool=tool) for tool in ("track", "refund", None)]
    kept = {requests(order).label_names[0] for order in itertools.permutations(documents)}
    assert len(kept) == 1


def test_other_tools_make_another_request(requests, document):
    fewer = document(1)
    fewer["request"]["tools"] = fewer["request"]["tools"][:1]
    assert len(requests([document(1), fewer])) == 2


def test_temperature_and_unknown_fields_do_not(requests, document):
    warm = document(1, at=3)
    warm["request"] |= {"temperature": 1, "seed": 4}
    assert len(requests([document(1), warm])) == 1


def test_later_steps_of_a_conversation_are_requests_of_their_own(requests, document):
    later = document(1)
    later["request"]["messages"] += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    assert len(requests([document(1), later])) == 2


def test_agreement_is_the_share_of_equal_pairs_for_each_request(requests, document):
    answers = [
        document(1, at=1, arguments={"a": 1}),
        document(1, at=2, arguments='{"a": 1.0}'),
        document(1, at=3, arguments={"a": 2}),
        document(2, at=1, tool=None, text="No."),
        document(2, at=2, tool=None, text="Nope."),
        document(3),
    ]
    repeated = requests(answers).repeated
    assert (repeated.requests, repeated.answers, repeated.copies) == (2, 5, 0)
    assert repeated.agreement_name == 1.0
    assert repeated.agreement_name_and_args == pytest.approx((1 / 3 + 1) / 2)


def test_a_copy_of_one_call_is_no_second_answer(requests, document):
    copy = document(1) | {"trace_id": "exported again", "timestamp": document(1)["timestamp"] + 1}
    repeated = requests([document(1), copy]).repeated
    assert (repeated.requests, repeated.copies, repeated.agreement_name) == (0, 1, None)


def test_answers_without_an_id_are_answers(requests, document):
    answers = [document(1, at=1), document(1, at=2)]
    for answer in answers:
        del answer["response"]["id"]
    assert requests(answers).repeated.answers == 2


def test_calls_compare_as_a_multiset_by_value():
    first = calls_digest([("a", {"x": 1, "y": [1.0]}), ("b", {})])
    assert first == calls_digest([("b", {}), ("a", {"y": [1], "x": 1.0})])
    assert first != calls_digest([("a", {"x": 1, "y": [1.0]}), ("b", {}), ("b", {})])
    assert first != calls_digest([("a", {"x": True, "y": [1]}), ("b", {})])
