"""How a run that did not end well goes on: which of its tasks Airflow has to run again.

What is done is reused: the tasks themselves look up data set, jobs and scores before they make anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import NimDocument, RunDocument
from include.flywheel.runs.states import NimStatus, RunStatus, StageStatus

# Ids of the DAG's tasks.
PREPARE = "prepare"
BUILD_DATASETS = "build_datasets"
UPLOAD_DATASETS = "upload_datasets"
REFERENCE_EVAL = "reference_eval"
DEPLOY_JUDGE = "deploy_judge"
DECIDE = "decide"
NIM_ROOTS = ("nim.customize", "nim.deploy")
TASKS = (PREPARE, BUILD_DATASETS, UPLOAD_DATASETS, REFERENCE_EVAL, DEPLOY_JUDGE, DECIDE, *NIM_ROOTS)


@dataclass(frozen=True)
class TaskToClear:
    """A task that runs again with all that follows it; `map_index` where it is that of one NIM."""

    task_id: str
    map_index: int | None = None

    @property
    def wire(self) -> str | list[str | int]:
        """As Airflow's REST API takes it."""
        return self.task_id if self.map_index is None else [self.task_id, self.map_index]


@dataclass(frozen=True)
class RetryPlan:
    """What runs again, and that in words."""

    tasks: tuple[TaskToClear, ...]
    words: str


def plan_retry(run: RunDocument, nims: Sequence[NimDocument], only: str | None = None) -> RetryPlan:
    """From where the run goes on; with `only`, the one NIM of that name or slug alone.

    Raises StateError, with the remedy, where nothing can be or need be done again.
    """
    if run.deletion is not None:
        raise StateError(f"run {run.job_id} is being removed: start a new run")
    if not run.status.is_over:
        raise StateError(f"run {run.job_id} is {run.status.value}: cancel it first, or wait for its end")
    chosen = None if only is None else _named(run, nims, only)
    whole = _whole_run(run, nims)
    if whole is not None:
        if chosen is not None:
            raise StateError(f"{chosen.nim} alone cannot be retried: {whole.words}; retry the whole run")
        return whole
    if chosen is not None:
        return _of_nims(run, [chosen])
    failed = [nim for nim in nims if nim.status is not NimStatus.COMPLETED]
    plan = _of_nims(run, failed, reference=_reference_failed(run))
    if plan.tasks:
        return plan
    if run.status is RunStatus.COMPLETED:
        raise StateError(f"run {run.job_id} is completed and nothing failed: there is nothing to retry")
    return RetryPlan((TaskToClear(DECIDE),), "every NIM is done: it goes on with the verdict")


def _whole_run(run: RunDocument, nims: Sequence[NimDocument]) -> RetryPlan | None:
    """The plan for a run whose NIMs have no task instances to begin with, or may have none."""
    if run.resolved is None:
        return RetryPlan((TaskToClear(PREPARE),), "its configuration was not accepted: it begins anew")
    if run.dataset_uri is None:
        return RetryPlan(
            (TaskToClear(BUILD_DATASETS),), "its data set was not uploaded: it goes on with the data"
        )
    if run.status is RunStatus.CANCELLED:
        why = "it was cancelled: it goes on from its data set"
    elif not any(nim.stages for nim in nims):
        why = "no NIM had begun: it goes on from its data set"
    else:
        return None
    return RetryPlan((TaskToClear(UPLOAD_DATASETS),), why)


def _of_nims(run: RunDocument, nims: Sequence[NimDocument], *, reference: bool = False) -> RetryPlan:
    tasks = [TaskToClear(root, nim.order) for nim in nims for root in NIM_ROOTS]
    names = [nim.nim for nim in nims]
    if reference:
        tasks.append(TaskToClear(REFERENCE_EVAL))
        names.append("the production model's evaluation")
    if tasks and (run.resolved or {}).get("judge") is not None:
        # It was taken down with the run, and has new answers to grade.
        tasks.append(TaskToClear(DEPLOY_JUDGE))
    return RetryPlan(tuple(tasks), f"again, as far as it was not done: {', '.join(names)}; then the verdict")


def _named(run: RunDocument, nims: Sequence[NimDocument], name: str) -> NimDocument:
    """The NIM of that name or slug. Raises StateError where there is none, or it has not failed."""
    found = next((nim for nim in nims if name in {nim.nim, nim.slug}), None)
    if found is None:
        known = ", ".join(nim.nim for nim in nims) or "none yet"
        raise StateError(f"run {run.job_id} has no NIM {name!r}; its NIMs are: {known}")
    if found.status is NimStatus.COMPLETED:
        failed = ", ".join(nim.nim for nim in nims if nim.status is not NimStatus.COMPLETED) or "none"
        raise StateError(
            f"{found.nim} is {found.status.value} in run {run.job_id}: only a NIM that failed is retried, "
            f"here {failed}"
        )
    return found


def _reference_failed(run: RunDocument) -> bool:
    return run.reference is not None and run.reference.stage.status in {
        StageStatus.FAILED,
        StageStatus.CANCELLED,
    }
