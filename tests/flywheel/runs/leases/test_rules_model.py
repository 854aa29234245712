"""The rules of the leases under every order of events: nothing locks, is lost, doubled or above the total."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from include.flywheel.errors import LeaseRefused
from include.flywheel.runs.leases import rules
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest, Ledger, Waiting

T, S = LeaseKind.TRAINING, LeaseKind.SERVING
AT = "2026-01-01T00:00:00.000+00:00"
OVERTAKES = 1

jobs, slugs, kinds = st.sampled_from(["r1", "r2", "r3"]), st.sampled_from("abcd"), st.sampled_from(LeaseKind)
tries = st.integers(1, 4)
requests = st.builds(
    LeaseRequest,
    job_id=jobs,
    slug=slugs,
    kind=kinds,
    gpus=st.integers(1, 5),
    total=st.sampled_from([2, 4, 8]),
    try_number=tries,
)


class Leases(RuleBasedStateMachine):
    """Any caller does anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.wanted: set[tuple[str, str, LeaseKind]] = set()
        self.closed: dict[tuple[str, str], int] = {}

    def change(self, change: Callable[[Ledger], Ledger]) -> None:
        """One write, and everything that must hold between two of them."""
        before, dropped = self.ledger, change(self.ledger)
        after = rules.settle(dropped, AT, most_overtakes=OVERTAKES)
        self.ledger = after
        assert rules.settle(change(after), AT, most_overtakes=OVERTAKES) == after, "twice is not once"
        kept = {lease.key for lease in before.leases}
        gpus = sum(lease.gpus for lease in after.leases if lease.key in kept)
        new = [lease for lease in after.leases if lease.key not in kept]
        for lease in new:
            gpus += lease.gpus
            assert gpus <= lease.total, "granted above the total"
        # Who waited for its own training meanwhile was not overtaken.
        stood = {
            one.key: one for one in eligible(before) if (*one.nim, T) not in {lease.key for lease in new}
        }
        for one in eligible(after):
            if one.key in stood:
                passed = sum(lease.order > one.order for lease in new)
                assert one.overtaken == stood[one.key].overtaken + passed

    @rule(request=requests)
    def ask(self, request: LeaseRequest) -> None:
        holds = {lease.kind: lease.gpus for lease in self.ledger.leases if lease.nim == request.nim}
        refused = (
            request.gpus > request.total
            or request.try_number <= self.closed.get(request.nim, 0)
            or holds.get(request.kind, request.gpus) != request.gpus
            or (request.kind is T and S in holds and T not in holds)
        )
        try:
            self.change(lambda ledger: rules.ask(ledger, request, AT))
        except LeaseRefused:
            assert refused
        else:
            assert not refused
            self.wanted.add(request.key)

    @precondition(lambda self: self.ledger.waiting)
    @rule(data=st.data())
    def poll(self, data: Any) -> None:
        """Whoever waits asks again: nothing changes."""
        one = data.draw(st.sampled_from(self.ledger.waiting))
        before = self.ledger
        self.change(lambda ledger: rules.ask(ledger, LeaseRequest(**asked_of(one)), AT))
        assert self.ledger == before
        answer = rules.answer(self.ledger, one)
        assert not answer.granted
        assert answer.reason

    @precondition(lambda self: self.ledger.leases)
    @rule(data=st.data())
    def end(self, data: Any) -> None:
        """A job ends and gives its GPUs back."""
        gone = data.draw(st.sampled_from(self.ledger.leases)).key
        self.change(lambda ledger: rules.drop(ledger, lambda one: one.key == gone))
        self.wanted.discard(gone)

    @rule(job=jobs, slug=slugs, kind=st.none() | kinds)
    def release(self, job: str, slug: str, kind: LeaseKind | None) -> None:
        self.change(
            lambda ledger: rules.drop(ledger, lambda one: one.nim == (job, slug) and kind in {None, one.kind})
        )
        self.wanted -= {key for key in self.wanted if key[:2] == (job, slug) and kind in {None, key[2]}}

    @rule(job=jobs, slug=slugs, number=tries)
    def close(self, job: str, slug: str, number: int) -> None:
        self.change(lambda ledger: rules.close(ledger, job, slug, number, "2026-01-01T00:00:00.000+00:00"))
        self.closed[job, slug] = max(number, self.closed.get((job, slug), 0))
        self.wanted -= {key for key in self.wanted if key[:2] == (job, slug)}

    @rule(gone=st.sets(jobs))
    def forget(self, gone: set[str]) -> None:
        self.change(lambda ledger: rules.forget(ledger, gone.__contains__))
        self.closed = {nim: number for nim, number in self.closed.items() if nim[0] not in gone}
        self.wanted = {key for key in self.wanted if key[0] not in gone}
        assert not gone & {one.job_id for one in self.ledger.closed}

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        keys = [one.key for one in (*self.ledger.leases, *self.ledger.waiting)]
        assert sorted(keys) == sorted(self.wanted)

    @invariant()
    def nobody_is_overtaken_too_often(self) -> None:
        assert all(one.overtaken <= OVERTAKES for one in self.ledger.waiting)

    @invariant()
    def no_gpu_idles_but_for_who_was_overtaken_too_often(self) -> None:
        due = [one.order for one in eligible(self.ledger) if one.overtaken >= OVERTAKES]
        for one in eligible(self.ledger):
            fits = self.ledger.gpus_held + one.gpus <= one.total
            assert not fits or min(due, default=one.order) < one.order

    @invariant()
    def nothing_locks(self) -> None:
        """Holders that wait for nothing give back one after the other: everybody is granted."""
        ledger = self.ledger
        while ledger.waiting:
            waits = {one.nim for one in ledger.waiting}
            free = [
                lease for lease in ledger.leases if lease.kind is T or (*lease.nim, T) not in keys_of(ledger)
            ]
            assert free, f"{waits} wait for ever"
            gone = free[0].key
            ledger = rules.drop(ledger, lambda one, gone=gone: one.key == gone)
            ledger = rules.settle(ledger, AT, most_overtakes=OVERTAKES)


def keys_of(ledger: Ledger) -> set[tuple[str, str, LeaseKind]]:
    return {one.key for one in (*ledger.leases, *ledger.waiting)}


def eligible(ledger: Ledger) -> list[Waiting]:
    trains_later = {one.nim for one in ledger.waiting if one.kind is T}
    return [one for one in ledger.waiting if one.kind is T or one.nim not in trains_later]


def asked_of(one: Waiting) -> dict[str, Any]:
    return one.model_dump(include=set(LeaseRequest.model_fields))


class TestLeases(Leases.TestCase):
    """Every order of at most 30 events; a failure is shown as it is found, for shrinking takes minutes."""

    settings = settings(
        max_examples=80,
        stateful_step_count=30,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
