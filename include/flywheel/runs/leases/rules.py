"""The rules of the leases: a ledger goes in, a ledger comes out. They know neither database nor clock.

Nothing can lock, because who waits for training holds nothing and who trains waits for nothing:

- a request for serving is passed over while its own NIM waits for training;
- a request for training is refused while its own NIM holds serving.

Nobody starves: once `MOST_OVERTAKES` later requests were granted before it, a request is *due*, and nothing
that asked later is granted until it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from include.flywheel.errors import LeaseRefused
from include.flywheel.runs.leases.model import (
    Closed,
    Lease,
    LeaseAnswer,
    LeaseKind,
    LeaseRequest,
    Ledger,
    Waiting,
)
from include.flywheel.runs.leases.policy import MOST_OVERTAKES, Rank, train_first

# Longer than anybody waits for a lease.
MARKS_LAST = timedelta(days=3)


def ask(ledger: Ledger, request: LeaseRequest, at: str) -> Ledger:
    """Give the request its place in the line; one that waits or holds already keeps its own.

    Raises LeaseRefused when it can never be granted.
    """
    _refuse_impossible(ledger, request)
    if any(lease.key == request.key for lease in ledger.leases):
        return ledger
    asked = request.model_dump()
    if known := _find(ledger.waiting, request):
        # A later try may need other GPUs. What it needs now counts.
        again = known.model_copy(update=asked)
        return _with(ledger, waiting=tuple(again if one is known else one for one in ledger.waiting))
    order = ledger.next_order
    of_run = (one.run_order for one in (*ledger.leases, *ledger.waiting) if one.job_id == request.job_id)
    new = Waiting(**asked, asked_at=at, order=order, run_order=min(of_run, default=order))
    return _with(ledger, waiting=(*ledger.waiting, new), next_order=order + 1)


def drop(ledger: Ledger, gone: Callable[[LeaseRequest], bool]) -> Ledger:
    """Take back the leases, and forget the waiting requests, that `gone` picks."""
    return _with(
        ledger,
        leases=tuple(one for one in ledger.leases if not gone(one)),
        waiting=tuple(one for one in ledger.waiting if not gone(one)),
    )


def close(ledger: Ledger, job_id: str, slug: str, try_number: int, at: str) -> Ledger:
    """Take everything back from a NIM, and refuse what its tries up to `try_number` ask.

    A wait that nobody ended may ask again long after: after a restart of the triggerer, its task is looked at
    last. So the mark outlives the run, for `MARKS_LAST`.
    """
    left = drop(ledger, lambda one: one.nim == (job_id, slug))
    if try_number <= _closed_try(ledger, job_id, slug):
        return left
    oldest = (datetime.fromisoformat(at) - MARKS_LAST).isoformat()
    others = tuple(
        one for one in ledger.closed if (one.job_id, one.slug) != (job_id, slug) and one.at > oldest
    )
    mark = Closed(job_id=job_id, slug=slug, try_number=try_number, at=at)
    return _with(left, closed=(*others, mark))


def forget(ledger: Ledger, gone: Callable[[str], bool]) -> Ledger:
    """Take everything back from the runs that `gone` picks, with what was closed in them."""
    left = drop(ledger, lambda one: gone(one.job_id))
    return _with(left, closed=tuple(one for one in left.closed if not gone(one.job_id)))


def settle(
    ledger: Ledger, at: str, *, rank: Rank = train_first, most_overtakes: int = MOST_OVERTAKES
) -> Ledger:
    """Grant what can be granted, in the order of the policy."""
    while (chosen := _next_grant(ledger, rank, most_overtakes)) is not None:
        passed = {one.key for one in _eligible(ledger) if one.order < chosen.order}
        ledger = _with(
            ledger,
            leases=(*ledger.leases, Lease(**chosen.model_dump(), granted_at=at)),
            waiting=tuple(
                one.model_copy(update={"overtaken": one.overtaken + 1}) if one.key in passed else one
                for one in ledger.waiting
                if one.key != chosen.key
            ),
        )
    return ledger


def answer(ledger: Ledger, request: LeaseRequest) -> LeaseAnswer:
    """What to tell who asked, of the ledger that came out of `ask`."""
    for lease in ledger.leases:
        if lease.key == request.key:
            return LeaseAnswer(lease=lease, reason=f"{_gpus(lease.gpus)} granted")
    known = next(one for one in ledger.waiting if one.key == request.key)
    if known not in _eligible(ledger):
        return LeaseAnswer(reason=f"{_name(request)} waits for its GPUs for training first")
    free = max(known.total - ledger.gpus_held, 0)
    before = [one.key for one in _line(ledger, train_first, MOST_OVERTAKES)].index(known.key)
    requests = "1 request is" if before == 1 else f"{before} requests are"
    return LeaseAnswer(
        reason=f"{free} of {_gpus(known.total)} are free, needs {known.gpus}; {requests} before it"
    )


def _refuse_impossible(ledger: Ledger, request: LeaseRequest) -> None:
    name = _name(request)
    if request.gpus > request.total:
        raise LeaseRefused(
            f"{name} needs {_gpus(request.gpus)}, and `gpus.total` is {request.total}: raise `gpus.total`, "
            "give the NIM fewer GPUs, or leave it out"
        )
    closed = _closed_try(ledger, request.job_id, request.slug)
    if request.try_number <= closed:
        raise LeaseRefused(
            f"{name} was taken down at try {closed}, and this is try {request.try_number}: retry the NIM"
        )
    own = {lease.kind: lease for lease in ledger.leases if lease.nim == request.nim}
    if held := own.get(request.kind):
        if held.gpus != request.gpus:
            raise LeaseRefused(
                f"{name} holds {_gpus(held.gpus)} and asks for {request.gpus}: release the lease first"
            )
    elif request.kind is LeaseKind.TRAINING and own:
        raise LeaseRefused(f"{name} asks for GPUs while it holds those for serving: undeploy it first")


def _next_grant(ledger: Ledger, rank: Rank, most_overtakes: int) -> Waiting | None:
    held = ledger.gpus_held
    due_before = ledger.next_order
    for one in _line(ledger, rank, most_overtakes):
        if one.order > due_before:
            continue
        if held + one.gpus <= one.total:
            return one
        if one.overtaken >= most_overtakes:
            due_before = one.order
    return None


def _line(ledger: Ledger, rank: Rank, most_overtakes: int) -> list[Waiting]:
    """What may be granted, in the order in which it is tried: what is due first, then by rank."""
    place = rank(ledger)

    def key(one: Waiting) -> tuple[int, ...]:
        return (0, one.order) if one.overtaken >= most_overtakes else (1, *place(one))

    return sorted(_eligible(ledger), key=key)


def _eligible(ledger: Ledger) -> list[Waiting]:
    """What waits for GPUs alone: not serving whose own NIM still waits for training."""
    untrained = {one.nim for one in ledger.waiting if one.kind is LeaseKind.TRAINING}
    return [one for one in ledger.waiting if one.kind is LeaseKind.TRAINING or one.nim not in untrained]


def _find(waiting: tuple[Waiting, ...], request: LeaseRequest) -> Waiting | None:
    return next((one for one in waiting if one.key == request.key), None)


def _closed_try(ledger: Ledger, job_id: str, slug: str) -> int:
    return next((one.try_number for one in ledger.closed if (one.job_id, one.slug) == (job_id, slug)), 0)


def _with(ledger: Ledger, **changed: object) -> Ledger:
    return ledger.model_copy(update=changed)


def _name(request: LeaseRequest) -> str:
    return f"{request.kind.value} of NIM {request.slug!r} (run {request.job_id})"


def _gpus(number: int) -> str:
    return "1 GPU" if number == 1 else f"{number} GPUs"
