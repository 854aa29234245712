"""The life of one evaluation job: it runs in a thread, and ends with a result or a reason."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from include.nemo_local import clock
from include.nemo_local.behaviours import Behaviours
from include.nemo_local.errors import ApiError, JobCancelled, JobFailed, ServerStopping
from include.nemo_local.jobs import JobControl
from include.nemo_local.repositories import Repositories
from include.nemo_local.served import ServedModels
from include.nemo_local.services.evaluation_files import JobLog, RowFile, zipped, zipped_log
from include.nemo_local.services.evaluation_tasks import TaskRunner
from include.nemo_local.services.evaluator_wire import ConfigIn, TargetIn
from include.nemo_local.store import Record, Store

log = logging.getLogger(__name__)
EVALUATION = "evaluation_job"
RESULT = "evaluation_result"
TERMINAL = frozenset({"completed", "failed", "cancelled"})
_PROGRESS_SECONDS = 0.5
_LIVE_ROW_ERRORS = 100


class EvaluationRun:
    """Runs evaluation jobs, each in the thread that it is given."""

    def __init__(
        self,
        store: Store,
        repositories: Repositories,
        served: ServedModels,
        behaviours: Behaviours,
        *,
        results_dir: Path,
        evaluation_seconds: float,
    ) -> None:
        self._store = store
        self._tasks = TaskRunner(repositories, served)
        self._behaviours = behaviours
        self._results_dir = results_dir
        self._evaluation_seconds = evaluation_seconds

    def archive(self, job_id: str) -> Path:
        """Where the zip with the rows' results lies once the job is complete."""
        return self._results_dir / job_id / "results.zip"

    def log_archive(self, job_id: str) -> bytes:
        """A zip with the job's log so far."""
        return zipped_log(self._log_path(job_id))

    def live(self, config: ConfigIn, target: TargetIn) -> tuple[dict[str, Any], list[str]]:
        """Evaluates at once and keeps nothing: tasks and groups, and the lines of the log.

        Raises JobFailed and ApiError for what cannot be evaluated.
        """
        sink = _LiveSink()
        return self._tasks.run(config, target, sink), sink.lines

    def forget(self, job_id: str) -> None:
        """Removes the job's files."""
        shutil.rmtree(self._results_dir / job_id, ignore_errors=True)

    def run(self, job_id: str, control: JobControl) -> None:
        """Evaluates to the end, whatever it is; raises ServerStopping only, which leaves the job as it is."""
        record = self._store.change(EVALUATION, job_id, _running)
        if record is None or record.body["status"] != "running":
            return
        try:
            self._work(record, control, started=clock.now())
        except ServerStopping:
            raise
        except JobCancelled:
            self.end(job_id, "cancelled", "The job was cancelled")
        except (JobFailed, ApiError) as error:
            self.end(job_id, "failed", str(error))
        except Exception as error:
            log.exception("%s broke", job_id)
            self.end(job_id, "failed", f"internal error of the stand-in: {error!r}; see its log")

    def end(self, job_id: str, status: str, message: str, result_id: str | None = None) -> None:
        """Writes the job's end, unless it has ended."""

        def mutate(stored: Record) -> None:
            if stored.body["status"] in TERMINAL:
                return
            if status == "completed" and stored.body["status"] != "running":
                raise JobCancelled
            stored.body |= {"status": status, "updated_at": clock.stamp()}
            if result_id is not None:
                stored.body["result"] = result_id
            details = stored.body["status_details"]
            details["message"] = message
            details["task_status"] = dict.fromkeys(details["task_status"], status)

        self._store.change(EVALUATION, job_id, mutate)
        JobLog(self._log_path(job_id)).say(f"{status}: {message}")

    def _work(self, record: Record, control: JobControl, *, started: float) -> None:
        config = ConfigIn.model_validate(record.hidden["config"])
        target = TargetIn.model_validate(record.hidden["target"])
        folder = self._results_dir / record.id
        folder.mkdir(parents=True, exist_ok=True)
        job_log = JobLog(self._log_path(record.id))
        job_log.say("the job runs")
        with RowFile(folder / "results.json") as rows:
            sink = _JobSink(self._store, record.id, control, rows, job_log)
            found = self._tasks.run(config, target, sink)
            sink.note()
            job_log.finish()
        model = target.model_name()
        least = self._behaviours.seconds("evaluation", model, default=self._evaluation_seconds)
        control.wait_until(started + least)
        reason = control.wait_while_held(self._behaviours, "evaluation", model)
        if reason is not None:
            raise JobFailed(reason)
        zipped(folder / "results.json", self.archive(record.id))
        self._complete(record, found)

    def _log_path(self, job_id: str) -> Path:
        return self._results_dir / job_id / "evaluation.log"

    def _complete(self, record: Record, found: dict[str, Any]) -> None:
        result_id = clock.new_id(RESULT)
        moment = clock.stamp()
        body = {
            "id": result_id,
            "job": record.id,
            "namespace": record.namespace,
            "project": record.body["project"],
            "created_at": moment,
            "updated_at": moment,
            "custom_fields": {},
            "files_url": record.body["output_files_url"],
            **found,
        }
        with self._store.exclusive():
            self._store.insert(Record(RESULT, result_id, record.namespace, result_id, body))
            self.end(record.id, "completed", "Job completed successfully.", result_id)


class _JobSink:
    """Rows go to the file, errors to the log, progress to the job's status now and then."""

    def __init__(
        self, store: Store, job_id: str, control: JobControl, rows: RowFile, job_log: JobLog
    ) -> None:
        self._store, self._job_id = store, job_id
        self._rows, self._log = rows, job_log
        self._noted = 0.0
        self._task_total: tuple[int, int | None] = (0, None)
        self.check, self.say = control.check, job_log.say

    def row(self, row: dict[str, Any], in_task: int, limit: int | None) -> None:
        self._rows.add(row)
        if "error" in row:
            self._log.row_error(row)
        self._task_total = (in_task, limit)
        if clock.now() - self._noted > _PROGRESS_SECONDS:
            self.note()

    def note(self) -> None:
        """Raises JobCancelled when the job was deleted."""
        self._noted = clock.now()
        processed, (in_task, limit) = self._rows.count, self._task_total

        def mutate(stored: Record) -> None:
            progress = None if limit is None else round(100 * in_task / limit, 2)
            stored.body["status_details"] |= {"samples_processed": processed, "progress": progress}

        if self._store.change(EVALUATION, self._job_id, mutate) is None:
            raise JobCancelled


class _LiveSink:
    """Keeps the log's lines, of which there are a few a task, and the first errors of rows."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._row_errors = 0

    def check(self) -> None:
        """Nothing cancels a live evaluation."""

    def row(self, row: dict[str, Any], in_task: int, limit: int | None) -> None:
        del in_task, limit
        if "error" in row and self._row_errors < _LIVE_ROW_ERRORS:
            self._row_errors += 1
            self.say(f"row {row['id']}: {row['error']}")

    def say(self, text: str) -> None:
        self.lines.append(text)


def _running(record: Record) -> None:
    if record.body["status"] in ("created", "pending", "running"):
        record.body |= {"status": "running", "updated_at": clock.stamp()}
        details = record.body["status_details"]
        details |= {"message": "Job is running.", "samples_processed": 0}
        details["task_status"] = dict.fromkeys(details["task_status"], "running")
