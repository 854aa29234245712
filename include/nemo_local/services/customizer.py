"""Customizer: jobs that wait for GPUs, are trained by the engine and become adapters."""

from __future__ import annotations

from typing import Any

from include.nemo_local import clock
from include.nemo_local.catalogue import CONFIG, TARGET
from include.nemo_local.engine.embedding import is_embedding_model
from include.nemo_local.errors import Conflict, DuplicateRecord, Invalid, NotFound
from include.nemo_local.gpus import CUSTOMIZATION, GpuPool
from include.nemo_local.jobs import JobThreads
from include.nemo_local.services.customizer_wire import ConfigIn, JobIn
from include.nemo_local.services.embedding_training import TRAINED_OPTION
from include.nemo_local.services.training import TERMINAL, Training, log_status
from include.nemo_local.store import Record, Store

SERVED_OPTION = ("sft", "lora")
"""How chat models are trained; embedding models are trained in full."""


class Customizer:
    """Creates, shows and cancels customization jobs; `Training` does their work."""

    def __init__(
        self, store: Store, gpus: GpuPool, threads: JobThreads, training: Training, default_seed: int
    ) -> None:
        self._store, self._gpus, self._threads, self._training = store, gpus, threads, training
        self._default_seed = default_seed
        gpus.on_grant(CUSTOMIZATION, self._begin)

    def resume(self) -> None:
        """Goes on with the jobs that a former server left, from their inputs."""
        for record in self._store.select(CUSTOMIZATION):
            status = record.body["status"]
            if status in TERMINAL or record.hidden.get("granted_at") is None:
                continue
            if status == "cancelling":
                self._training.end(record.id, "cancelled", "The job was cancelled")
                continue
            log_status(self._store, record.id, "Restarted", "The server restarted: training starts again")
            self._begin(record)
        self._gpus.settle()

    def create(self, given: JobIn) -> dict[str, Any]:
        """Raises NotFound for an unknown config or dataset, Invalid for an option that the config lacks."""
        config = self._config(given.config)
        option = _option(config, given)
        files_url = self._files_url(given)
        job_id = clock.new_id("cust")
        output = _output_model(given, job_id)
        body = self._body(given, job_id, config, option, output)
        hidden = {
            "gpus": option["num_gpus"] * option.get("num_nodes", 1),
            "base_model": body["config_snapshot"]["base_model"],
            "files_url": files_url,
        }
        record = Record(CUSTOMIZATION, job_id, given.namespace, given.name or job_id, body, hidden)
        with self._store.exclusive():
            try:
                self._store.insert(record)
                if output is not None:
                    self._store.insert(_model_entity(record, output))
            except DuplicateRecord as error:
                raise Conflict(f"{error} already exists: choose another name") from None
        self._gpus.settle()
        return self._view(self.record(job_id), "created")

    def record(self, job_id: str) -> Record:
        found = self._store.by_id(CUSTOMIZATION, job_id)
        if found is None:
            raise NotFound(f"customization job {job_id} not found")
        return found

    def view(self, job_id: str) -> dict[str, Any]:
        return self._view(self.record(job_id))

    def status(self, job_id: str) -> dict[str, Any]:
        """The job's status details."""
        details: dict[str, Any] = self.view(job_id)["status_details"]
        return details

    def listed(self) -> list[dict[str, Any]]:
        return [self._view(record) for record in self._store.select(CUSTOMIZATION)]

    def running(self) -> list[dict[str, Any]]:
        """One line a job that has not ended, for the state page."""
        return [
            {key: body[key] for key in ("id", "status", "project", "output_model", "custom_fields")}
            for body in self.listed()
            if body["status"] not in TERMINAL
        ]

    def cancel(self, job_id: str) -> dict[str, Any]:
        """A job that runs ends between two epochs; one that waits, at once; one that has ended stays."""
        record = self.record(job_id)
        if record.body["status"] in TERMINAL:
            return self._view(record)
        with self._store.exclusive():
            waiting = self.record(job_id).hidden.get("granted_at") is None
            if waiting:
                self._training.end(job_id, "cancelled", "The job was cancelled before it started")
            else:
                self._store.change(CUSTOMIZATION, job_id, _cancelling)
        if not waiting and not self._threads.cancel(job_id):
            self._training.end(job_id, "cancelled", "The job was cancelled")
        return self.view(job_id)

    def _begin(self, record: Record) -> None:
        self._threads.start(record.id, lambda control: self._training.run(record.id, control))

    def _view(self, record: Record, status: str | None = None) -> dict[str, Any]:
        body = record.body
        shown = status or body["status"]
        details = dict(body["status_details"])
        if shown in ("created", "pending") and record.hidden.get("granted_at") is None:
            shown = status or "pending"
            wait = {
                "updated_at": clock.stamp(),
                "message": "Waiting for resources",
                "detail": self._gpus.shortage(record),
            }
            details["status_logs"] = [*details["status_logs"], wait]
        return body | {"status": shown, "status_details": details | {"status": shown}}

    def _config(self, reference: str | ConfigIn) -> dict[str, Any]:
        if isinstance(reference, ConfigIn):
            in_place = reference.model_dump()
            complete_target(self._store, in_place)
            return in_place
        namespace, _, name = reference.rpartition("/")
        if "@" not in name or not namespace:
            raise Invalid(
                f"config {reference!r} is not <namespace>/<name>@<version>: GET /v1/customization/configs",
                field="config",
            )
        found = self._store.get(CONFIG, namespace, name)
        if found is None:
            known = ", ".join(f"{r.namespace}/{r.name}" for r in self._store.select(CONFIG))
            raise NotFound(f"customization config {reference} not found; there are {known}")
        return found.body

    def _files_url(self, given: JobIn) -> str:
        namespace, name = given.dataset_name()
        found = self._store.get("dataset", namespace, name)
        if found is None:
            raise NotFound(f"dataset {namespace}/{name} not found: register it with POST /v1/datasets")
        return str(found.body["files_url"])

    def _body(
        self, given: JobIn, job_id: str, config: dict[str, Any], option: dict[str, Any], output: str | None
    ) -> dict[str, Any]:
        moment = clock.stamp()
        hyperparameters = given.hyperparameters.model_dump(exclude_none=True)
        hyperparameters.setdefault("seed", self._default_seed)
        snapshot = {
            "base_model": config["target"]["base_model"],
            "max_seq_length": config["max_seq_length"],
            "precision": config["training_precision"],
            "training_option": option,
            "prompt_template": config.get("prompt_template"),
        }
        return given.model_dump(exclude={"hyperparameters", "dataset"}) | {
            "id": job_id,
            "created_at": moment,
            "updated_at": moment,
            "dataset": "/".join(given.dataset_name()),
            "hyperparameters": hyperparameters,
            "config_snapshot": snapshot,
            "output_model": output,
            "status": "created",
            "status_details": _first_details(moment),
            "warnings": None,
        }


def complete_target(store: Store, config: dict[str, Any]) -> None:
    """Puts the target in place of its name. Raises NotFound, or Invalid for a target that names no base."""
    target = config["target"]
    if isinstance(target, dict):
        if "base_model" not in target:
            raise Invalid("a target given in place needs `base_model`", field="target.base_model")
        return
    namespace, _, name = target.rpartition("/")
    found = store.get(TARGET, namespace, name)
    if found is None:
        known = ", ".join(f"{r.namespace}/{r.name}" for r in store.select(TARGET))
        raise NotFound(f"customization target {target} not found; there are {known}")
    config["target"] = found.body


def _option(config: dict[str, Any], given: JobIn) -> dict[str, Any]:
    wanted = (given.hyperparameters.training_type, given.hyperparameters.finetuning_type)
    embeds = is_embedding_model(config["target"]["base_model"] or "")
    trained = TRAINED_OPTION if embeds else SERVED_OPTION
    options = config["training_options"]
    for option in options:
        if (option["training_type"], option["finetuning_type"]) == wanted:
            if wanted != trained:
                kind = "embedding" if embeds else "chat"
                raise Invalid(
                    f"the stand-in trains {kind} models with {trained[0]}/{trained[1]} only, "
                    f"not {wanted[0]}/{wanted[1]}",
                    field="hyperparameters.finetuning_type",
                )
            return dict(option)
    known = ", ".join(f"{o['training_type']}/{o['finetuning_type']}" for o in options)
    raise Invalid(
        f"the config has no training option {wanted[0]}/{wanted[1]}; it has {known}. "
        "a new option needs a new configuration",
        field="hyperparameters.finetuning_type",
    )


def _output_model(given: JobIn, job_id: str) -> str | None:
    if given.output_model is None:
        return None
    name = given.output_model if "/" in given.output_model else f"{given.namespace}/{given.output_model}"
    return name if "@" in name else f"{name}@{job_id}"


def _model_entity(job: Record, output: str) -> Record:
    namespace, _, name = output.partition("/")
    moment = clock.stamp()
    repository, _, revision = name.partition("@")
    body = {
        "id": clock.new_id("model"),
        "name": name,
        "namespace": namespace,
        "description": job.body.get("description"),
        "project": job.body.get("project"),
        "custom_fields": {},
        "created_at": moment,
        "updated_at": moment,
        "base_model": job.hidden["base_model"],
        "artifact": {
            "files_url": f"hf://models/{namespace}/{repository}@{revision}",
            "status": "created",
            "backend_engine": "nemo",
        },
        "peft": {"finetuning_type": job.body["hyperparameters"]["finetuning_type"]},
    }
    return Record("model", body["id"], namespace, name, body)


def _first_details(moment: str) -> dict[str, Any]:
    return {
        "created_at": moment,
        "updated_at": moment,
        "status": "created",
        "elapsed_time": 0.0,
        "epochs_completed": 0,
        "steps_completed": 0,
        "steps_per_epoch": None,
        "percentage_done": 0.0,
        "best_epoch": None,
        "train_loss": None,
        "val_loss": None,
        "metrics": {"keys": ["train_loss", "val_loss"], "metrics": {"train_loss": [], "val_loss": []}},
        "status_logs": [{"updated_at": moment, "message": "created", "detail": None}],
    }


def _cancelling(record: Record) -> None:
    if record.body["status"] not in TERMINAL:
        record.body["status"] = record.body["status_details"]["status"] = "cancelling"
