"""The DAG of the clean-up."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, dag, task

from include.pipeline.upkeep import tasks

DAG_ID = "flywheel_upkeep"

_DOC = """
## Upkeep

Finds what runs have left behind (a cluster that died, a submit that was killed in the middle) and what has
grown old. What belongs to a live run, and what does not carry a run's name, is never touched.

1. **reconcile** takes down deployments, jobs, leases and staging files of runs that are over. Where the DAG
   run is over or gone and the run's document says that it goes on, it writes how the run ended and tells the
   application. It goes on with removals that somebody asked for and that are not done.
2. **retain** removes logs, staging files, data sets, runs and reports that are older than
   `include/flywheel/config/upkeep.yaml` says; it refreshes the accuracy view of feedback.
3. **report** shows what was done as a table in its log; the same stands in the collection `upkeep`.

Start it with **Dry run** to see what it would do. `docs/upkeep.md` has the rules.

### When something fails

| Failed task | What it means | What to do |
|---|---|---|
| reconcile | leftovers stay where they are | its log says what did not answer; the next hour tries again |
| retain | nothing old goes meanwhile | the same |
| report | **GPUs may still be held** | its table names each thing that could not be removed, and why |
"""

_PARAMS = {
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Report what would be done; change nothing."
    ),
    "grace_minutes": Param(
        None,
        type=["integer", "null"],
        minimum=0,
        maximum=100_000,
        title="Grace (minutes)",
        description="Leave alone what is younger and carries a run that is not written down; empty: as in "
        "upkeep.yaml.",
    ),
}


def upkeep_dag() -> DAG:
    """The DAG: every hour, off the full hour, at which runs are scheduled."""

    @dag(
        dag_id=DAG_ID,
        description="Takes down what runs have left behind, and removes what has grown old",
        doc_md=_DOC,
        schedule="23 * * * *",
        # No start date: the first run is the next one, not one that was missed.
        start_date=None,
        catchup=False,
        max_active_runs=1,
        # What it repairs costs money: it does not wait for somebody to switch it on.
        is_paused_upon_creation=False,
        default_args={
            "owner": "flywheel",
            "retries": 1,
            "retry_delay": timedelta(minutes=1),
            "execution_timeout": timedelta(minutes=50),
        },
        params=_PARAMS,
        tags=["flywheel", "upkeep"],
    )
    def upkeep() -> None:
        reconciled = task(task_id="reconcile")(tasks.reconcile)()
        retained = task(task_id="retain", trigger_rule="all_done")(tasks.retain)()
        reported = task(task_id="report", trigger_rule="all_done")(tasks.report)()
        reconciled >> retained >> reported

    built: DAG = upkeep()
    return built
