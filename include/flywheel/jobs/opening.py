"""The document of a run whose DAG run was only just created."""

from __future__ import annotations

from include.flywheel.jobs.wire import JobCreate, conf_of
from include.flywheel.runs import ids
from include.flywheel.runs.documents import RunDocument, now


def pending_document(dag_id: str, run_id: str, job: JobCreate) -> RunDocument:
    """What `RunRepository.open` takes, so that the job can be asked for at once.

    The run's first task opens the same document: whoever comes second finds that of the first.
    """
    return RunDocument(
        job_id=ids.job_id(dag_id, run_id),
        dag_id=dag_id,
        run_id=run_id,
        client_id=job.client_id,
        workload_id=job.workload_id,
        conf=conf_of(job),
        created_at=now(),
    )
