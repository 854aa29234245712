"""Which run a person means."""

from __future__ import annotations

from difflib import get_close_matches

from include.cli.runs_words import moment
from include.flywheel.errors import StateError
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository

LATEST = "latest"
_COMPARED = 200
_SHOWN = 5


def find_run(runs: RunRepository, name: str) -> RunDocument:
    """The run of a job id or its beginning, of a DAG run's id, or the `latest`.

    Raises StateError that names the nearest where there is none, and the candidates where there are several.
    """
    if name == LATEST:
        newest = runs.recent(limit=1)
        if not newest:
            raise StateError("no run is written down yet: start one, for example with scripts/demo")
        return newest[0]
    exact = runs.find(name)
    if exact is not None:
        return exact
    found = runs.called(name, limit=_SHOWN + 1)
    if not found:
        raise StateError(f"no run is called {name!r}{_nearest(runs, name)}")
    if len(found) > 1:
        listed = "; ".join(_named(run) for run in found[:_SHOWN])
        more = "; and more" if len(found) > _SHOWN else ""
        raise StateError(f"{name!r} may be several runs, give the job id: {listed}{more}")
    return found[0]


def _nearest(runs: RunRepository, name: str) -> str:
    known = {key: run for run in runs.recent(limit=_COMPARED) for key in (run.job_id, run.run_id)}
    near = get_close_matches(name, list(known), n=1, cutoff=0.0)
    if not near:
        return ": no run is written down yet"
    return f"; the nearest is {_named(known[near[0]])}; `list` shows all"


def _named(run: RunDocument) -> str:
    return f"{run.job_id} ({run.run_id} of {run.dag_id}, {moment(run.created_at)})"
