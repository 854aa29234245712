"""The dependencies of the DAG, played in simulated time over the rules of the leases themselves."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from instances import Nim

from include.flywheel.runs.leases import rules
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest, Ledger
from include.flywheel.runs.leases.policy import MOST_OVERTAKES, Rank, train_first

# No budget: more GPUs than any instance can hold.
_PLENTY = 10_000


@dataclass(frozen=True)
class Way:
    """How the run goes about it.

    `handover_ms` passes between a grant and the start of its job, and between the end of a job and what
    follows from it. `in_a_row` has each NIM do one thing after the other, as a plain pipeline would.
    """

    rank: Rank = train_first
    most_overtakes: int = MOST_OVERTAKES
    handover_ms: int = 0
    in_a_row: bool = False


@dataclass(frozen=True)
class Run:
    """NIMs that somebody starts together, `start_ms` after the first of the runs."""

    job_id: str
    nims: Sequence[Nim]
    start_ms: int = 0


@dataclass
class Outcome:
    """When the last evaluation ended, of all and of each run, and how long GPUs idled in vain."""

    wall_ms: int = 0
    ends_ms: dict[str, int] = field(default_factory=dict)
    most_gpus: int = 0
    idle_ms: int = 0


def simulate(nims: Sequence[Nim], gpus: int | None, way: Way | None = None) -> Outcome:
    """Run all NIMs side by side under a budget of `gpus` (None: without)."""
    return simulate_runs([Run("run", nims)], gpus, way)


def simulate_runs(runs: Sequence[Run], gpus: int | None, way: Way | None = None) -> Outcome:
    """The same for several runs that share the GPUs."""
    return _Simulation(runs, gpus or _PLENTY, way or Way()).play()


def one_after_another(nims: Sequence[Nim], gpus: int | None, way: Way | None = None) -> int:
    """Milliseconds, when a NIM begins only once the one before it has ended."""
    return sum(simulate([nim], gpus, way).wall_ms for nim in nims)


@dataclass
class _Progress:
    job_id: str
    nim: Nim
    trained: bool = False
    deployed: bool = False
    open_evaluations: int = 3


@dataclass
class _Simulation:
    runs: Sequence[Run]
    gpus: int
    way: Way
    ledger: Ledger = field(default_factory=Ledger)
    outcome: Outcome = field(default_factory=Outcome)
    clock_ms: int = 0

    def __post_init__(self) -> None:
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._ties = count()
        progress = [_Progress(run.job_id, nim) for run in self.runs for nim in run.nims]
        self._progress = {(one.job_id, one.nim.slug): one for one in progress}

    def play(self) -> Outcome:
        for run in self.runs:
            self._after(run.start_ms, partial(self._start, run))
        while self._agenda:
            at, _, act = heapq.heappop(self._agenda)
            self._account(at - self.clock_ms)
            self.clock_ms = at
            act()
            # What happens at the same time is one change, as for people who look on.
            if not self._agenda or self._agenda[0][0] > at:
                self._settle()
        return self.outcome

    def _start(self, run: Run) -> None:
        for nim in run.nims:
            self._ask(self._progress[run.job_id, nim.slug], LeaseKind.TRAINING)

    def _account(self, passed_ms: int) -> None:
        free = self.gpus - self.ledger.gpus_held
        if any(one.gpus <= free for one in self.ledger.waiting):
            self.outcome.idle_ms += passed_ms

    def _after(self, delay_ms: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.clock_ms + delay_ms, next(self._ties), act))

    def _ask(self, progress: _Progress, kind: LeaseKind) -> None:
        nim = progress.nim
        gpus = nim.train_gpus if kind is LeaseKind.TRAINING else nim.serve_gpus
        request = LeaseRequest(
            job_id=progress.job_id, slug=nim.slug, kind=kind, gpus=gpus, total=self.gpus, try_number=1
        )
        self.ledger = rules.ask(self.ledger, request, "")

    def _settle(self) -> None:
        """Grant, and begin what was granted. A grant of training is followed by a request for serving."""
        before = {lease.key for lease in self.ledger.leases}
        self.ledger = rules.settle(
            self.ledger, "", rank=self.way.rank, most_overtakes=self.way.most_overtakes
        )
        new = [lease for lease in self.ledger.leases if lease.key not in before]
        self.outcome.most_gpus = max(self.outcome.most_gpus, self.ledger.gpus_held)
        for lease in new:
            progress = self._progress[lease.nim]
            if lease.kind is LeaseKind.TRAINING:
                self._after(self.way.handover_ms + progress.nim.training_ms, partial(self._trained, progress))
                if not self.way.in_a_row:
                    self._ask(progress, LeaseKind.SERVING)
            else:
                self._after(self.way.handover_ms + progress.nim.deploy_ms, partial(self._deployed, progress))
        if new:
            self._settle()

    def _trained(self, progress: _Progress) -> None:
        progress.trained = True
        self._after(self.way.handover_ms, partial(self._release, progress, LeaseKind.TRAINING))
        if self.way.in_a_row:
            self._ask(progress, LeaseKind.SERVING)
        elif progress.deployed:
            self._evaluate(progress, progress.nim.customized_ms)

    def _deployed(self, progress: _Progress) -> None:
        progress.deployed = True
        nim = progress.nim
        if self.way.in_a_row:
            self._evaluate(progress, nim.base_ms)
            return
        self._evaluate(progress, nim.base_ms)
        self._evaluate(progress, nim.icl_ms)
        if progress.trained:
            self._evaluate(progress, nim.customized_ms)

    def _evaluate(self, progress: _Progress, duration_ms: int) -> None:
        self._after(self.way.handover_ms + duration_ms, partial(self._evaluated, progress))

    def _evaluated(self, progress: _Progress) -> None:
        progress.open_evaluations -= 1
        if progress.open_evaluations == 0:
            self.outcome.wall_ms = self.outcome.ends_ms[progress.job_id] = self.clock_ms
            self._after(self.way.handover_ms, partial(self._release, progress, LeaseKind.SERVING))
        elif self.way.in_a_row:
            following = {2: progress.nim.icl_ms, 1: progress.nim.customized_ms}
            self._evaluate(progress, following[progress.open_evaluations])

    def _release(self, progress: _Progress, kind: LeaseKind) -> None:
        nim = (progress.job_id, progress.nim.slug)
        self.ledger = rules.drop(self.ledger, lambda one: one.nim == nim and one.kind is kind)
