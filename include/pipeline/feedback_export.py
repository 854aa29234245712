"""The weekly DAG of feedback: training files, and an alert where users like a model less."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, dag, task

from include.flywheel.feedback.export.spec import Format, Uncorrected
from include.pipeline import feedback_tasks

DAG_ID = "feedback_export"

_DOC = """
## Feedback: weekly export and alert

Every Sunday at 02:00 UTC. Started by hand it takes another range, other weights and filters.

1. **migrate** brings the feedback tables to this version's schema. Without the connection
   `flywheel_feedback` it is skipped, and the rest with it.
2. **export** writes the feedback of the week below `FLYWHEEL_EXPORT_ROOT`: `weekly/<day>.jsonl` and others,
   and a manifest with counts and digests. A run that is repeated writes the same names.
3. **refresh_accuracy** refreshes the view `model_accuracy_by_intent`.
4. **alert** compares each model's share of thumbs-up with its own window before (two-proportion test, Holm
   over the models) and tells the connection `application` (`feedback.alert`) of those that fell.

`docs/feedback.md` has the files, the weights and the tables.

### When something fails

| Failed task | What it means | What to do |
|---|---|---|
| migrate | the database does not let us in, or is ahead of this version | its log says which |
| export | no file of this run appeared; the last ones are whole | correct what the log names, clear it |
| refresh_accuracy | the view is as old as it was; the API's accuracy is not concerned | clear it |
| alert | the check failed, or **the application was not told** | its log has the table of the models |
"""

_TEXT = ["string", "null"]


def _params() -> dict[str, Param]:
    return {
        "days": Param(7, type="integer", minimum=1, maximum=3660, description="Length of the range, days."),
        "start_date": Param(
            None,
            type=_TEXT,
            format="date-time",
            description="Begin of the range; empty: `days` before its end.",
        ),
        "end_date": Param(
            None, type=_TEXT, format="date-time", description="End of the range; empty: when the run was due."
        ),
        "format": Param(
            Format.ALL.value,
            type="string",
            enum=[one.value for one in Format],
            description="`jsonl`: weighted examples; `preferences`: for KTO and DPO; `nemo`: copies for "
            "weights.",
        ),
        "thumbs_up_weight": Param(
            2.0, type="number", exclusiveMinimum=0, maximum=100, description="Weight of a liked answer."
        ),
        "thumbs_down_weight": Param(
            0.5, type="number", exclusiveMinimum=0, maximum=100, description="Weight of a disliked one."
        ),
        "uncorrected_negatives": Param(
            Uncorrected.INCLUDE.value,
            type="string",
            enum=[one.value for one in Uncorrected],
            description="Disliked answers without an expected one: in the weighted file, or not.",
        ),
        **_filter_params(),
        **_alert_params(),
    }


def _filter_params() -> dict[str, Param]:
    return {
        "min_query_chars": Param(10, type="integer", minimum=0, description="Shorter queries are left out."),
        "min_response_chars": Param(
            20, type="integer", minimum=0, description="Shorter answers are left out."
        ),
        "deduplicate": Param(
            True, type="boolean", description="Of equal query and response the newest stays."
        ),
        "model": Param(None, type=_TEXT, description="Only feedback of this model."),
        "intent": Param(None, type=_TEXT, description="Only feedback of this intent."),
        "project": Param(None, type=_TEXT, description="Only feedback of this project."),
        "seed": Param(0, type="integer", minimum=0, description="Of the copies in the NeMo file."),
        "output_path": Param(
            None, type=_TEXT, description="A name inside the export root; empty: by the day of the run."
        ),
    }


def _alert_params() -> dict[str, Param]:
    return {
        "alert_days": Param(7, type="integer", minimum=1, maximum=366, description="Each window, days."),
        "alert_alpha": Param(
            0.05,
            type="number",
            exclusiveMinimum=0,
            exclusiveMaximum=0.5,
            description="Chance of any false alarm in a run.",
        ),
        "alert_min_feedback": Param(
            100, type="integer", minimum=10, description="Ratings that a model needs in each window."
        ),
    }


def feedback_dag() -> DAG:
    """The DAG: Sundays at 02:00 UTC."""

    @dag(
        dag_id=DAG_ID,
        description="Writes the week's feedback as training files, and tells where users like a model less",
        doc_md=_DOC,
        schedule="0 2 * * 0",
        # No start date: the first run is the next one, not one that was missed.
        start_date=None,
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": "flywheel",
            "retries": 2,
            "retry_delay": timedelta(minutes=2),
            "execution_timeout": timedelta(hours=1),
        },
        params=_params(),
        tags=["flywheel", "feedback"],
    )
    def feedback() -> None:
        migrated = task(task_id="migrate")(feedback_tasks.migrate_tables)()
        exported = task(task_id="export")(feedback_tasks.export)()
        refreshed = task(task_id="refresh_accuracy")(feedback_tasks.refresh_view)()
        alerted = task(task_id="alert")(feedback_tasks.alert)()
        migrated >> [exported, refreshed, alerted]

    built: DAG = feedback()
    return built
