"""The work of one customization job: rows in, epochs reported, an adapter out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from include.nemo_local import clock, engine
from include.nemo_local.behaviours import Behaviours
from include.nemo_local.engine.errors import EngineError, TrainingCancelled
from include.nemo_local.engines import Engine, Fitted
from include.nemo_local.errors import ApiError, JobCancelled, JobFailed, ServerStopping
from include.nemo_local.gpus import CUSTOMIZATION, GpuPool
from include.nemo_local.jobs import JobControl
from include.nemo_local.repositories import Entry, RepoId, Repositories, Tree, parse_files_url
from include.nemo_local.store import Record, Store

log = logging.getLogger(__name__)
TERMINAL = frozenset({"completed", "failed", "cancelled"})
_HOLDOUT_EVERY = 10


class Training:
    """Runs customization jobs, each in the thread that it is given."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        gpus: GpuPool,
        repositories: Repositories,
        behaviours: Behaviours,
        *,
        adapters_dir: Path,
        training_seconds: float,
        listing_seconds: float,
    ) -> None:
        self._store, self._engine, self._gpus, self._repositories = store, engine, gpus, repositories
        self._behaviours = behaviours
        self._adapters_dir = adapters_dir
        self._training_seconds, self._listing_seconds = training_seconds, listing_seconds

    def run(self, job_id: str, control: JobControl) -> None:
        """Trains to the end, whatever it is; raises ServerStopping only, which leaves the job as it is."""
        record = self._store.change(CUSTOMIZATION, job_id, self._running)
        if record is None or record.body["status"] != "running":
            return
        try:
            self._work(record, control, started=clock.now())
        except ServerStopping:
            raise
        except (JobCancelled, TrainingCancelled):
            self._ended_early(job_id, control)
        except (JobFailed, EngineError, ApiError) as error:
            self.end(job_id, "failed", str(error))
        except Exception as error:
            log.exception("%s broke", job_id)
            self.end(job_id, "failed", f"internal error of the stand-in: {error!r}; see its log")

    def end(self, job_id: str, status: str, detail: str) -> None:
        """Writes the job's end, unless it has ended, and gives its GPUs back."""

        def mutate(stored: Record) -> None:
            if stored.body["status"] not in TERMINAL:
                _finish(stored, status, detail)

        self._store.change(CUSTOMIZATION, job_id, mutate)
        self._gpus.settle()

    def _running(self, record: Record) -> None:
        if record.body["status"] in ("created", "pending", "running"):
            record.body["status"] = record.body["status_details"]["status"] = "running"
            record.body["status_details"]["metrics"]["metrics"] = {"train_loss": [], "val_loss": []}
            _log(record, "TrainingJobRunning", f"engine {self._engine.name}: {self._engine.detail}")

    def _ended_early(self, job_id: str, control: JobControl) -> None:
        # The fit stops for a shutdown as it does for a cancel: only the latter ends the job.
        try:
            control.check()
        except JobCancelled:
            self.end(job_id, "cancelled", "The job was cancelled; nothing was uploaded")

    def _work(self, record: Record, control: JobControl, *, started: float) -> None:
        base = record.hidden["base_model"]
        names = (base, str(record.body["config"]), record.body["output_model"] or "")
        data = _Data(self._repositories, record.hidden["files_url"])

        def on_epoch(report: engine.EpochReport) -> bool:
            def mutate(stored: Record) -> None:
                _note_epoch(stored.body, report, elapsed_seconds=clock.now() - started)

            self._store.change(CUSTOMIZATION, record.id, mutate)
            return not control.stop_wanted()

        adapter = self._engine.fit(
            data.training_rows(),
            data.validation_rows(),
            base,
            record.body["hyperparameters"],
            on_epoch=on_epoch,
            stop_wanted=control.stop_wanted,
        )
        least = self._behaviours.seconds("customization", *names, default=self._training_seconds)
        control.wait_until(started + least)
        if (reason := control.wait_while_held(self._behaviours, "customization", *names)) is not None:
            raise JobFailed(reason)
        self._publish(record, adapter, elapsed_seconds=clock.now() - started)

    def _publish(self, record: Record, adapter: Fitted, *, elapsed_seconds: float) -> None:
        """Uploads the adapter and completes the job; raises JobCancelled when a cancel came first."""
        output = record.body["output_model"]
        folder = self._adapters_dir / record.id
        path = folder / self._engine.adapter_file
        if output is not None:
            folder.mkdir(parents=True, exist_ok=True)
            adapter.save(path)

        def mutate(stored: Record) -> None:
            if stored.body["status"] != "running":
                raise JobCancelled
            stored.body["status_details"]["elapsed_time"] = round(elapsed_seconds, 3)
            _finish(stored, "completed", "Training completed")

        with self._store.exclusive():
            self._store.change(CUSTOMIZATION, record.id, mutate)
            if output is not None:
                self._upload(output, path)
        self._gpus.settle()

    def _upload(self, output: str, path: Path) -> None:
        namespace, _, name = output.partition("/")
        repository, _, revision = name.partition("@")
        repo = RepoId("models", namespace, repository)
        content = path.read_bytes()
        entry = Entry(self._repositories.blobs.put(content), len(content))

        def add(tree: Tree) -> None:
            tree[path.name] = entry

        def mutate(stored: Record) -> None:
            stored.body["artifact"]["status"] = "upload_completed"
            stored.body["updated_at"] = clock.stamp()
            stored.hidden |= {"adapter_path": str(path), "listed_at": clock.now() + self._listing_seconds}

        self._repositories.ensure(repo)
        self._repositories.commit(repo, add, revision)
        entity = self._store.get("model", namespace, name)
        if entity is not None:
            self._store.change("model", entity.id, mutate)


class _Data:
    """The rows of a dataset, read anew on each pass; one in ten is held out where no validation file is."""

    def __init__(self, repositories: Repositories, files_url: str) -> None:
        self._repositories = repositories
        self._repo, revision, prefix = parse_files_url(files_url)
        self._commit = repositories.resolve(self._repo, revision)
        paths = [path for path in repositories.tree(self._repo, self._commit) if path.endswith(".jsonl")]
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        self._training = [path for path in paths if path.startswith(f"{folder}training/")]
        self._validation = [path for path in paths if path.startswith(f"{folder}validation/")]
        if not self._training:
            raise JobFailed(
                f"dataset {files_url} has no training file: upload training/<name>.jsonl "
                f"(it has {', '.join(paths) or 'no .jsonl files'})"
            )

    def training_rows(self) -> Iterator[dict[str, Any]]:
        for index, row in enumerate(self._rows(self._training)):
            if self._validation or index % _HOLDOUT_EVERY != _HOLDOUT_EVERY - 1:
                yield row

    def validation_rows(self) -> Iterator[dict[str, Any]]:
        if self._validation:
            yield from self._rows(self._validation)
            return
        for index, row in enumerate(self._rows(self._training)):
            if index % _HOLDOUT_EVERY == _HOLDOUT_EVERY - 1:
                yield row

    def _rows(self, paths: list[str]) -> Iterator[dict[str, Any]]:
        for path in paths:
            for number, line in enumerate(self._repositories.lines(self._repo, self._commit, [path]), 1):
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise JobFailed(f"{path}, row {number}: not JSON ({error}); repair the file") from error
                if not isinstance(row, dict):
                    raise JobFailed(f"{path}, row {number}: not a JSON object; repair the file")
                yield row


def log_status(store: Store, job_id: str, message: str, detail: str | None) -> None:
    """Adds a line to the job's status log."""
    store.change(CUSTOMIZATION, job_id, lambda record: _log(record, message, detail))


def _finish(record: Record, status: str, detail: str) -> None:
    record.body["status"] = record.body["status_details"]["status"] = status
    record.hidden["released"] = True
    _log(record, status, detail)


def _log(record: Record, message: str, detail: str | None) -> None:
    moment = clock.stamp()
    record.body["updated_at"] = record.body["status_details"]["updated_at"] = moment
    record.body["status_details"]["status_logs"].append(
        {"updated_at": moment, "message": message, "detail": detail}
    )


def _note_epoch(body: dict[str, Any], report: engine.EpochReport, *, elapsed_seconds: float) -> None:
    details = body["status_details"]
    moment = clock.stamp()
    losses = details["metrics"]["metrics"]
    for name, value in (("train_loss", report.train_loss), ("val_loss", report.val_loss)):
        if value is not None:
            losses[name].append({"step": report.steps_completed, "timestamp": moment, "value": value})
    values = [point["value"] for point in losses["val_loss"]]
    details |= {
        "updated_at": moment,
        "elapsed_time": round(elapsed_seconds, 3),
        "epochs_completed": report.epoch,
        "steps_completed": report.steps_completed,
        "steps_per_epoch": report.steps_per_epoch,
        "percentage_done": round(100 * report.epoch / report.epochs, 2),
        "best_epoch": values.index(min(values)) + 1 if values else None,
        "train_loss": report.train_loss,
        "val_loss": report.val_loss,
    }
    body["updated_at"] = moment
