"""The work of one evaluation job: rows from the Data Store, answers from a model, scores and their file."""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import orjson

from include.nemo_local import clock
from include.nemo_local.behaviours import Behaviours
from include.nemo_local.errors import ApiError, JobCancelled, JobFailed, ServerStopping
from include.nemo_local.jobs import JobControl
from include.nemo_local.repositories import Repositories, parse_files_url
from include.nemo_local.scoring import Ask, RowScorer, Totals, endpoint_asker
from include.nemo_local.served import ServedModels
from include.nemo_local.services.evaluator_wire import ConfigIn, TargetIn, Task
from include.nemo_local.store import Record, Store

log = logging.getLogger(__name__)
EVALUATION = "evaluation_job"
RESULT = "evaluation_result"
TERMINAL = frozenset({"completed", "failed", "cancelled"})
_PROGRESS_SECONDS = 0.2
_ENDPOINT_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class _TaskWork:
    """One task of one job; ``limit``: rows to score at most."""

    job_id: str
    name: str
    task: Task
    limit: int | None


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
        self._store, self._repositories, self._served = store, repositories, served
        self._behaviours = behaviours
        self._results_dir = results_dir
        self._evaluation_seconds = evaluation_seconds

    def archive(self, job_id: str) -> Path:
        """Where the zip with the rows' results lies once the job is complete."""
        return self._results_dir / job_id / "results.zip"

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

    def _work(self, record: Record, control: JobControl, *, started: float) -> None:
        config = ConfigIn.model_validate(record.hidden["config"])
        target = TargetIn.model_validate(record.hidden["target"])
        folder = self._results_dir / record.id
        folder.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {}
        with self._asking(target) as ask, _RowFile(folder / "results.json") as rows:
            for name, task in config.tasks.items():
                work = _TaskWork(record.id, name, task, limit=config.sample_limit(task))
                results[name] = self._score(work, config, control, ask=ask, rows=rows)
        control.wait_until(started + self._evaluation_seconds)
        reason = control.wait_while_held(self._behaviours, "evaluation", target.model_name())
        if reason is not None:
            raise JobFailed(reason)
        _zip(folder / "results.json", self.archive(record.id))
        self._complete(record, results)

    def _score(
        self, work: _TaskWork, config: ConfigIn, control: JobControl, *, ask: Ask, rows: _RowFile
    ) -> dict[str, Any]:
        """Scores all rows of one task into ``rows`` and returns the task's result."""
        name, task = work.name, work.task
        built = task.built_metrics(f"config.tasks.{name}")
        lines = islice(self._lines(task), work.limit)
        totals = Totals(built)
        scorer = RowScorer(task.params.template, built, ask)
        label = {"task": name} if len(config.tasks) > 1 else {}
        noted = 0.0
        for row in scorer.score_all(lines, config.parallelism(task)):
            control.check()
            rows.add(row | label)
            totals.add(row)
            if clock.now() - noted > _PROGRESS_SECONDS:
                noted = clock.now()
                self._note(work, rows.count, totals.count)
        self._note(work, rows.count, totals.count)
        if totals.count == 0:
            raise JobFailed(f"task {name}: {task.dataset.files_url} has no rows; upload some")
        return totals.result()

    def _lines(self, task: Task) -> Iterator[bytes]:
        repo, revision, path = parse_files_url(task.dataset.files_url)
        if not path:
            raise JobFailed(
                f"files_url {task.dataset.files_url} names no file: give hf://datasets/<ns>/<name>/<file>"
            )
        commit = self._repositories.resolve(repo, revision)
        self._repositories.entry(repo, commit, path)
        return islice(self._repositories.lines(repo, commit, [path]), task.dataset.limit)

    @contextmanager
    def _asking(self, target: TargetIn) -> Iterator[Ask]:
        if isinstance(target.model, str):
            name = target.model
            self._served.require(name)
            yield lambda request: self._served.complete(request | {"model": name}).message
            return
        api = target.model.api_endpoint
        with httpx.Client(timeout=_ENDPOINT_TIMEOUT_SECONDS) as client:
            yield endpoint_asker(api.url, api.model_id, api.api_key, client)

    def _note(self, work: _TaskWork, processed: int, in_task: int) -> None:
        def mutate(stored: Record) -> None:
            progress = None if work.limit is None else round(100 * in_task / work.limit, 2)
            stored.body["status_details"] |= {"samples_processed": processed, "progress": progress}

        if self._store.change(EVALUATION, work.job_id, mutate) is None:
            raise JobCancelled

    def _complete(self, record: Record, tasks: dict[str, Any]) -> None:
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
            "tasks": tasks,
            "groups": {},
        }
        with self._store.exclusive():
            self._store.insert(Record(RESULT, result_id, record.namespace, result_id, body))
            self.end(record.id, "completed", "Job completed successfully.", result_id)


class _RowFile:
    """A JSON array on disk, written row by row; it takes its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_suffix(".partial")
        self.count = 0

    def __enter__(self) -> _RowFile:
        self._file = self._partial.open("wb")
        self._file.write(b"[")
        return self

    def add(self, row: dict[str, Any]) -> None:
        self._file.write((b",\n" if self.count else b"\n") + orjson.dumps(row))
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.write(b"\n]\n")
        self._file.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


def _zip(source: Path, target: Path) -> None:
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source, source.name)
    partial.replace(target)
    source.unlink()


def _running(record: Record) -> None:
    if record.body["status"] in ("created", "pending", "running"):
        record.body |= {"status": "running", "updated_at": clock.stamp()}
        details = record.body["status_details"]
        details |= {"message": "Job is running.", "samples_processed": 0}
        details["task_status"] = dict.fromkeys(details["task_status"], "running")
