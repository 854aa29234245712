"""Builds the DAG of a workload: what follows what, and nothing about how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, dag, task, task_group
from airflow.sdk.definitions.param import ParamsDict
from airflow.timetables.trigger import CronTriggerTimetable

from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.evaluation.specs import Stage
from include.pipeline import params, tasks
from include.pipeline.building import BuildDatasets
from include.pipeline.description import describe
from include.pipeline.judge import DeployJudge
from include.pipeline.operators import CustomizeStage, DeployStage, EvaluateCustomizedStage, EvaluateStage
from include.pipeline.run import NAME_TEMPLATE

ON_DEMAND_DAG_ID = "flywheel_on_demand"

_GROUP = "nim"
_RETRIES = {
    # Four minutes of waits in all, and room for workers that die. What is wrong for good fails at once.
    "retries": 8,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 1.5,
    "max_retry_delay": timedelta(minutes=5),
}


def flywheel_dags(only: str | None = None) -> dict[str, DAG]:
    """Every DAG of the flywheel by id: one for each configured workload, one on demand.

    `only`: the id of the one that is wanted. A task reads its DAG's file anew, and needs no other of it.
    """
    described = [(one.dag_id, one) for one in load_workloads()] + [(ON_DEMAND_DAG_ID, None)]
    return {dag_id: flywheel_dag(one) for dag_id, one in described if only in {None, dag_id}}


def flywheel_dag(workload: Workload | None) -> DAG:
    """The DAG of one workload; of any workload that the conf names when `workload` is None."""

    @dag(
        dag_id=workload.dag_id if workload else ON_DEMAND_DAG_ID,
        description=workload.description if workload else "One turn of the wheel for any client and workload",
        doc_md=describe(workload),
        schedule=_schedule(workload),
        # No start date: the first scheduled run is the next one, not the last one that was missed.
        start_date=None,
        catchup=False,
        max_active_runs=4,
        default_args={
            "owner": workload.owner if workload else "flywheel",
            **_RETRIES,
            # What is furthest goes first: a NIM that has its GPUs before those that only ask for some.
            "weight_rule": "upstream",
            "execution_timeout": timedelta(hours=2),
        },
        tags=["flywheel", *(_tags(workload) if workload else ["on-demand"])],
    )
    def turn() -> None:
        _wire()

    built: DAG = turn()
    # Only now: every task that is made in a DAG that has them copies them all, which took half of the time
    # that a task needs to read its DAG.
    built.params = ParamsDict(params.conf_params(workload))
    return built


def _tags(workload: Workload) -> list[str]:
    tags = [f"client:{workload.client_id}"]
    if workload.sensitivity is not None:
        tags.append(f"sensitivity:{workload.sensitivity.value}")
    return tags


def _schedule(workload: Workload | None) -> CronTriggerTimetable | None:
    if workload is None or workload.schedule is None:
        return None
    return CronTriggerTimetable(workload.schedule, timezone="UTC")


def _wire() -> None:
    # Soon again: who waits for a first answer has most often given a wrong address.
    prepare = task(task_id="prepare", retry_delay=timedelta(seconds=2), retry_exponential_backoff=0.0)
    prepared = prepare(tasks.prepare)()
    # The group is mapped over what this returns, so that no task of it exists before there is a data set.
    nims = task(task_id="upload_datasets")(tasks.upload)()
    prepared >> BuildDatasets(task_id="build_datasets") >> nims

    judge = DeployJudge(task_id="deploy_judge")
    nims >> judge
    reference_scores = _reference(nims, judge)
    each = _nim_group(judge).expand(nim=nims)
    undeployed = each.get_child_by_label("undeploy")
    decided = task(task_id="decide", trigger_rule="all_done")(tasks.decide_run)()
    recorded = task(task_id="record_winners")(tasks.record)()
    notified = task(task_id="notify_application")(tasks.notify)()
    # Without setups: a cancel turns the finished setups of a mapped neighbour to failed, and then a teardown
    # that has some does not run.
    closed = task(task_id="close_run")(tasks.close)().as_teardown(on_failure_fail_dagrun=True)
    [each, undeployed, reference_scores] >> decided >> recorded >> notified >> closed
    undeployed >> closed


def _reference(uploaded: Any, judge: Any) -> Any:
    """The production model answers the holdout again, where it can be asked."""
    evaluated = EvaluateStage(task_id="reference_eval", which=Stage.REFERENCE)
    scored = task(task_id="reference_scores", trigger_rule="all_done")(tasks.keep_reference_scores)()
    uploaded >> evaluated
    [evaluated, judge] >> scored
    return scored


def _nim_group(judge: Any) -> Any:
    @task_group(group_id=_GROUP)
    def nim_group(nim: dict[str, str]) -> None:
        """One NIM: customized and deployed side by side, evaluated three times, and always taken down.

        Serving is leased only once training is, so that nothing that waits holds what others need.
        """
        # First where both could begin: it lasts longest.
        customized = CustomizeStage(task_id="customize", nim=nim, priority_weight=2)
        deployed = DeployStage(task_id="deploy", nim=nim)
        base = EvaluateStage(task_id="base_eval", nim=nim, which=Stage.BASE)
        icl = EvaluateStage(task_id="icl_eval", nim=nim, which=Stage.ICL)
        adapted = EvaluateCustomizedStage(task_id="customized_eval", nim=nim)
        deployed >> [base, icl]
        [deployed, customized] >> adapted

        # Side by side: its GPUs are free the sooner, and its scores stay where they are.
        ends = [customized, base, icl, adapted]
        # Who waits for the judge holds nothing.
        [*ends, judge] >> _mapped("scores", tasks.keep_scores, trigger_rule="all_done")(nim)
        ends >> _mapped("undeploy", tasks.undeploy)(nim).as_teardown()

    return nim_group


def _mapped(task_id: str, body: Any, **options: Any) -> Any:
    return task(task_id=task_id, map_index_template=NAME_TEMPLATE, **options)(body)
