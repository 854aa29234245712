"""The rules of the leases by example: order, refusals, what is said while one waits."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from include.flywheel.errors import LeaseRefused
from include.flywheel.runs.leases import rules
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest, Ledger

T, S = LeaseKind.TRAINING, LeaseKind.SERVING
AT = "2026-01-01T00:00:00.000+00:00"


def request(slug: str, kind: LeaseKind = T, gpus: int = 1, **changes: Any) -> LeaseRequest:
    fields: dict[str, Any] = {"job_id": "run", "total": 4, "try_number": 1}
    return LeaseRequest(slug=slug, kind=kind, gpus=gpus, **{**fields, **changes})


def asked(ledger: Ledger, *requests: LeaseRequest) -> Ledger:
    for one in requests:
        ledger = rules.settle(rules.ask(ledger, one, AT), AT)
    return ledger


def released(ledger: Ledger, slug: str, kind: LeaseKind) -> Ledger:
    return rules.settle(rules.drop(ledger, lambda one: (one.slug, one.kind) == (slug, kind)), AT)


def held(ledger: Ledger) -> list[tuple[str, LeaseKind]]:
    return [(lease.slug, lease.kind) for lease in ledger.leases]


def test_first_come_first_served_while_gpus_last() -> None:
    ledger = asked(Ledger(), request("a", gpus=2), request("b", gpus=2), request("c", gpus=2))
    assert held(ledger) == [("a", T), ("b", T)]
    assert held(released(ledger, "a", T)) == [("b", T), ("c", T)]


def test_all_nims_of_a_run_train_before_one_is_served() -> None:
    ledger = asked(Ledger(), request("a", gpus=4), request("a", S, 4), request("b", gpus=4))
    assert held(released(ledger, "a", T)) == [("b", T)]


def test_an_older_run_is_served_before_a_younger_one_trains() -> None:
    younger = request("b", gpus=4, job_id="younger")
    ledger = asked(Ledger(), request("a", gpus=4), younger, request("a", S, 4))
    assert held(released(ledger, "a", T)) == [("a", S)]


def test_a_run_keeps_its_age_when_its_first_requests_are_gone() -> None:
    ledger = asked(
        Ledger(), request("a", gpus=4), request("b", gpus=4), request("x", gpus=4, job_id="younger")
    )
    ledger = asked(released(ledger, "a", T), request("c", gpus=4))
    assert held(released(ledger, "b", T)) == [("c", T)]


def test_the_larger_of_two_requests_alike_goes_first() -> None:
    ledger = asked(Ledger(), request("x", gpus=4), request("a", gpus=1), request("b", gpus=3))
    ledger = released(asked(ledger, request("c", gpus=4)), "x", T)
    assert held(ledger) == [("c", T)]
    assert held(released(ledger, "c", T)) == [("b", T), ("a", T)]


def test_what_still_trains_is_served_after_others_train() -> None:
    younger = request("b", gpus=2, job_id="younger")
    ledger = asked(Ledger(), request("a", gpus=2), request("x", gpus=2), request("a", S, 2), younger)
    assert held(released(ledger, "x", T)) == [("a", T), ("b", T)]


def test_what_still_trains_is_served_where_gpus_are_free() -> None:
    assert held(asked(Ledger(), request("a", gpus=2), request("a", S, 2))) == [("a", T), ("a", S)]


def test_serving_waits_for_the_own_training_even_where_it_would_fit() -> None:
    ledger = asked(Ledger(), request("x", gpus=3), request("a", gpus=2), request("a", S))
    assert held(ledger) == [("x", T)]
    assert rules.answer(ledger, request("a", S)).reason == (
        "serving of NIM 'a' (run run) waits for its GPUs for training first"
    )


def test_a_large_request_is_overtaken_a_bounded_number_of_times() -> None:
    ledger = Ledger()
    for number, one in enumerate([request("x", gpus=3), request("large", gpus=4), *map(request, "abcdef")]):
        ledger = rules.settle(rules.ask(ledger, one, AT), AT, most_overtakes=2)
        if number > 1:
            ledger = rules.settle(
                rules.drop(ledger, lambda other, slug=one.slug: other.slug == slug and slug < "c"),
                AT,
                most_overtakes=2,
            )
    assert held(ledger) == [("x", T)]
    assert [(one.slug, one.overtaken) for one in ledger.waiting][:2] == [("large", 2), ("c", 0)]


def test_who_was_overtaken_too_often_goes_before_an_older_run() -> None:
    ledger = Ledger()
    large = request("large", gpus=4, job_id="younger")
    for one in (request("x", gpus=3), large, request("a"), request("b", gpus=4)):
        ledger = rules.settle(rules.ask(ledger, one, AT), AT, most_overtakes=1)
    assert held(ledger) == [("x", T), ("a", T)]
    ledger = rules.drop(ledger, lambda one: one.slug in {"x", "a"})
    assert held(rules.settle(ledger, AT, most_overtakes=2)) == [("b", T)]
    assert held(rules.settle(ledger, AT, most_overtakes=1)) == [("large", T)]


def test_runs_with_other_totals_share_the_gpus() -> None:
    ledger = asked(Ledger(), request("a", gpus=4, total=8), request("b", gpus=1, total=4, job_id="other"))
    assert held(ledger) == [("a", T)]
    assert held(asked(ledger, request("c", gpus=4, total=8))) == [("a", T), ("c", T)]


def test_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(LeaseRefused) as refused:
        asked(Ledger(), request("large", gpus=8))
    assert str(refused.value) == (
        "training of NIM 'large' (run run) needs 8 GPUs, and `gpus.total` is 4: "
        "raise `gpus.total`, give the NIM fewer GPUs, or leave it out"
    )


def test_a_closed_nim_is_refused_until_a_later_try() -> None:
    ledger = rules.close(asked(Ledger(), request("a")), "run", "a", 2, AT)
    assert held(ledger) == []
    with pytest.raises(LeaseRefused, match="was taken down at try 2, and this is try 2: retry the NIM"):
        rules.ask(ledger, request("a", try_number=2), AT)
    assert held(asked(ledger, request("a", try_number=3))) == [("a", T)]
    assert held(asked(ledger, request("a", job_id="other"))) == [("a", T)]


def test_an_older_close_does_not_reopen() -> None:
    ledger = rules.close(rules.close(Ledger(), "run", "a", 3, AT), "run", "a", 1, AT)
    with pytest.raises(LeaseRefused):
        rules.ask(ledger, request("a", try_number=3), AT)


def test_a_mark_outlives_its_run_by_days_and_then_goes() -> None:
    ledger = rules.close(Ledger(), "run", "a", 1, AT)
    day_after = rules.close(ledger, "other", "b", 1, "2026-01-02T00:00:00.000+00:00")
    assert [one.slug for one in day_after.closed] == ["a", "b"]
    week_after = rules.close(day_after, "other", "c", 1, "2026-01-08T00:00:00.000+00:00")
    assert [one.slug for one in week_after.closed] == ["c"]


def test_who_serves_cannot_ask_for_training() -> None:
    ledger = asked(Ledger(), request("a", S))
    with pytest.raises(LeaseRefused, match="while it holds those for serving: undeploy it first"):
        rules.ask(ledger, request("a"), AT)


def test_who_trains_and_serves_may_ask_for_both_again() -> None:
    ledger = asked(Ledger(), request("a"), request("a", S))
    assert asked(ledger, request("a"), request("a", S)) == ledger


def test_another_number_of_gpus_changes_what_waits_and_not_what_is_held() -> None:
    ledger = asked(Ledger(), request("x", gpus=4), request("a", gpus=2), request("b", gpus=2))
    ledger = asked(ledger, request("a", gpus=3, try_number=2))
    assert [(one.slug, one.gpus, one.try_number) for one in ledger.waiting] == [("a", 3, 2), ("b", 2, 1)]
    with pytest.raises(LeaseRefused, match="holds 4 GPUs and asks for 1: release the lease first"):
        rules.ask(ledger, request("x", gpus=1), AT)


def test_it_says_why_one_waits() -> None:
    ledger = asked(Ledger(), request("a", gpus=2), request("b", gpus=4), request("c", gpus=3))
    assert rules.answer(ledger, request("a", gpus=2)).granted
    assert not rules.answer(ledger, request("b", gpus=4)).granted
    assert (
        rules.answer(ledger, request("b", gpus=4)).reason
        == "2 of 4 GPUs are free, needs 4; 0 requests are before it"
    )
    assert (
        rules.answer(ledger, request("c", gpus=3)).reason
        == "2 of 4 GPUs are free, needs 3; 1 request is before it"
    )


def test_no_gpu_is_no_request() -> None:
    with pytest.raises(ValidationError):
        request("a", gpus=0)
