"""Go on with removals of runs that somebody asked for and that are not done."""

from __future__ import annotations

from functools import partial

from include.flywheel.runs.removal import NotRemoved
from include.flywheel.runs.upkeep_reports import Action, Row
from include.pipeline.upkeep import survey
from include.pipeline.upkeep.airflow_runs import IsLive
from include.pipeline.upkeep.journal import Journal
from include.pipeline.upkeep.things import Kind, Thing, moment
from include.stores.removal import remove_run
from include.stores.upkeep import open_archive

_LIMIT_SECONDS = 300.0
_REASON = "its removal was asked for"


def finish_deletions(journal: Journal, is_live: IsLive) -> None:
    """Try each again, unless Airflow still works on the run; what fails is in the report."""
    try:
        asked = open_archive().deletions()
    except survey.PROBLEMS as error:
        why = "removals that were asked for could not be listed"
        journal.add(Row(kind=Kind.RUN.value, name="all", reason=why, action=Action.FAILED, error=str(error)))
        return
    for one in asked:
        thing = Thing(Kind.RUN, f"{one.dag_id}/{one.run_id}", one.job_id, moment(one.created_at))
        if not is_live(one.dag_id, one.run_id):
            journal.act([thing], _REASON, partial(remove_whole, one.job_id))


def remove_whole(job_id: str) -> None:
    """Remove a run that Airflow is done with, and all that it made. Raises NotRemoved with what is left."""
    removed = remove_run(job_id, "upkeep", _LIMIT_SECONDS, dag_run_is_over=True)
    if removed.left:
        raise NotRemoved("; ".join(removed.left))
