"""From where a run goes on: its tasks, for every way in which it may have ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import NimDocument, Reference, RunDocument, Stage
from include.flywheel.runs.retry import TASKS, RetryPlan, plan_retry
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

JOB = "0123456789abcdef01234567"


def run(
    status: RunStatus = RunStatus.FAILED, *, reference: StageStatus | None = None, **changes: object
) -> RunDocument:
    fields = {
        "job_id": JOB,
        "dag_id": "d",
        "run_id": "r",
        "client_id": "c",
        "workload_id": "w",
        "created_at": "2026-03-02T09:30:00.000+00:00",
        "status": status,
        "resolved": {"seed": 1},
        "dataset_uri": "hf://d",
        "reference": None if reference is None else Reference(model="agent", stage=Stage(status=reference)),
    }
    return RunDocument(**(fields | changes))


def nims(*statuses: NimStatus, begun: bool = True) -> list[NimDocument]:
    stages = {StageName.DEPLOY: Stage()} if begun else {}
    return [
        NimDocument(
            job_id=JOB, nim=f"meta/{order}", slug=f"meta-{order}", order=order, status=one, stages=stages
        )
        for order, one in enumerate(statuses)
    ]


def wire(plan: RetryPlan) -> list[object]:
    return [task.wire for task in plan.tasks]


def roots(order: int) -> list[object]:
    return [["nim.customize", order], ["nim.deploy", order]]


DONE, BAD, ENDED = NimStatus.COMPLETED, NimStatus.FAILED, NimStatus.CANCELLED


@pytest.mark.parametrize("status", [status for status in RunStatus if not status.is_over])
def test_a_run_that_goes_on_is_not_retried(status: RunStatus) -> None:
    with pytest.raises(StateError, match=f"{status.value}: cancel it first"):
        plan_retry(run(status), nims(BAD))


def test_a_run_of_which_nothing_failed_is_not_retried() -> None:
    with pytest.raises(StateError, match="nothing failed"):
        plan_retry(run(RunStatus.COMPLETED, reference=StageStatus.COMPLETED), nims(DONE, DONE))


PLANS = {
    "conf refused": (run(resolved=None, dataset_uri=None), nims(), ["prepare"]),
    "conf refused, cancelled": (run(RunStatus.CANCELLED, resolved=None, dataset_uri=None), [], ["prepare"]),
    "no data set": (run(dataset_uri=None), nims(BAD, begun=False), ["build_datasets"]),
    "cancelled": (run(RunStatus.CANCELLED), nims(DONE, ENDED), ["upload_datasets"]),
    "no NIM had begun": (run(), nims(BAD, BAD, begun=False), ["upload_datasets"]),
    "one NIM of three": (run(RunStatus.COMPLETED), nims(DONE, BAD, DONE), roots(1)),
    "all NIMs": (run(), nims(BAD, ENDED), [*roots(0), *roots(1)]),
    "the reference too": (
        run(reference=StageStatus.FAILED),
        nims(BAD),
        [*roots(0), "reference_eval"],
    ),
    "the reference alone": (
        run(RunStatus.COMPLETED, reference=StageStatus.FAILED),
        nims(DONE),
        ["reference_eval"],
    ),
    "a NIM whose answers are judged": (
        run(resolved={"seed": 1, "judge": {"type": "local"}}),
        nims(BAD),
        [*roots(0), "deploy_judge"],
    ),
    "the verdict": (run(reference=StageStatus.COMPLETED), nims(DONE), ["decide"]),
}


@pytest.mark.parametrize("case", PLANS)
def test_it_goes_on_from_what_failed(case: str) -> None:
    ended, of_nims, tasks = PLANS[case]
    plan = plan_retry(ended, of_nims)
    assert wire(plan) == tasks
    assert plan.words


@pytest.mark.parametrize("name", ["meta/1", "meta-1"])
def test_one_nim_alone_by_name_or_slug(name: str) -> None:
    ended = run(reference=StageStatus.FAILED)
    plan = plan_retry(ended, nims(BAD, BAD), name)
    assert wire(plan) == roots(1)
    assert "meta/1" in plan.words
    assert "meta/0" not in plan.words


@pytest.mark.parametrize(
    ("ended", "of_nims", "name", "said"),
    [
        (run(), nims(BAD), "meta/9", r"no NIM 'meta/9'; its NIMs are: meta/0"),
        (run(), nims(DONE, BAD), "meta/0", r"meta/0 is completed .* here meta/1"),
        (run(RunStatus.CANCELLED), nims(ENDED), "meta/0", "retry the whole run"),
        (run(dataset_uri=None), nims(BAD), "meta/0", "data set was not uploaded.*retry the whole run"),
    ],
)
def test_a_nim_that_cannot_be_retried_alone_says_why(
    ended: RunDocument, of_nims: list[NimDocument], name: str, said: str
) -> None:
    with pytest.raises(StateError, match=said):
        plan_retry(ended, of_nims, name)


statuses = st.sampled_from(list(NimStatus))
over = st.sampled_from([status for status in RunStatus if status.is_over])


@given(over, st.lists(statuses, min_size=1, max_size=5), st.sampled_from([None, *StageStatus]), st.booleans())
def test_a_plan_covers_every_failure_once_and_nothing_that_is_done(
    status: RunStatus, of_nims: list[NimStatus], reference: StageStatus | None, uploaded: bool
) -> None:
    ended = run(status, reference=reference, dataset_uri="hf://d" if uploaded else None)
    try:
        plan = plan_retry(ended, nims(*of_nims))
    except StateError:
        assert status is RunStatus.COMPLETED
        assert set(of_nims) == {DONE}
        return
    assert plan.tasks
    assert len(set(plan.tasks)) == len(plan.tasks)
    assert {task.task_id for task in plan.tasks} <= set(TASKS)
    mapped = [task.map_index for task in plan.tasks if task.map_index is not None]
    if mapped:
        assert sorted(set(mapped)) == [order for order, one in enumerate(of_nims) if one is not DONE]
