"""What a request opens and what the run's first task opens is one document, whoever comes first."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.jobs.opening import pending_document
from include.flywheel.jobs.views import detail
from include.flywheel.jobs.wire import JobCreate
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

JOB = JobCreate(workload_id="w", client_id="c", data_split_config={"limit": None})


def of_the_task() -> RunDocument:
    """As `prepare` opens it: with the form's values in the conf."""
    asked = pending_document("flywheel_on_demand", "job-1", JOB)
    return asked.model_copy(update={"conf": asked.conf | {"job_type": "llm_job"}, "created_at": now()})


@pytest.mark.parametrize("request_first", [True, False])
def test_there_is_one_document_and_what_was_asked_is_in_it(
    mongo_database: Database[dict[str, Any]], request_first: bool
) -> None:
    runs = RunRepository(mongo_database)
    runs.ensure_indexes()
    documents = [pending_document("flywheel_on_demand", "job-1", JOB), of_the_task()]
    first, second = documents if request_first else reversed(documents)
    assert runs.open(first) == first
    runs.set_status(first.job_id, RunStatus.RUNNING, started_at=now())
    known = runs.open(second)
    assert (known.status, known.conf) == (RunStatus.RUNNING, first.conf)
    assert known.conf["data_split_config"] == {"limit": None}
    assert mongo_database["runs"].count_documents({}) == 1
    assert detail(known, []).id == second.job_id
