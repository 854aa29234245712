"""The run that a request names, if its caller may know of it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, HTTPException, Path

from include.flywheel.runs.documents import RunDocument
from include.stores.runs import open_runs
from include.web.access import CurrentCaller, may

JOB_ID = "f111f163e7cf36d048111bc4"
_PATTERN = "^[0-9a-fA-F]{24}$"
_LEGAL = re.compile(_PATTERN)


def _visible_run(
    # The pattern is said and not checked by the framework: the contract answers 400 here, not 422.
    job_id: Annotated[
        str,
        Path(
            description="The job's id: 24 hexadecimal characters.",
            examples=[JOB_ID],
            json_schema_extra={"pattern": _PATTERN},
        ),
    ],
    caller: CurrentCaller,
) -> RunDocument:
    """The run. 400 for a malformed id; 404 where there is none, and where the caller may not see it."""
    if not _LEGAL.match(job_id):
        raise HTTPException(400, f"{job_id[:80]!r} is no job id: it has 24 hexadecimal characters")
    run = open_runs().find(job_id.lower())
    if run is None or not may(caller, "GET", run.workload_dag_id):
        raise HTTPException(404, f"no run {job_id}: it does not exist, or you may not see it")
    return run


VisibleRun = Annotated[RunDocument, Depends(_visible_run)]
"""The run of the path's `job_id`, which the caller may see."""
