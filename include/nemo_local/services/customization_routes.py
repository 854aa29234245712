"""The calls of the Customizer."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request

from include.nemo_local.catalogue import CONFIG, TARGET
from include.nemo_local.listing import page_of
from include.nemo_local.services.customizer import Customizer, complete_target
from include.nemo_local.services.customizer_wire import ConfigIn, JobIn, TargetIn
from include.nemo_local.services.entities import EntityKind
from include.nemo_local.services.list_fields import LIST_FIELDS
from include.nemo_local.store import Store

TARGETS = EntityKind(
    TARGET, "/v1/customization/targets", "customization-target", "customization target", TargetIn
)
_JOBS = "/v1/customization/jobs"
_JOB_FILTERS = {
    "base_model": "config_snapshot.base_model",
    "batch_size": "hyperparameters.batch_size",
    "epochs": "hyperparameters.epochs",
    "training_type": "hyperparameters.training_type",
    "finetuning_type": "hyperparameters.finetuning_type",
    "log_every_n_steps": "hyperparameters.log_every_n_steps",
}


def configs_kind(store: Store) -> EntityKind:
    """Configurations: their target is completed when they are created."""
    return EntityKind(
        CONFIG,
        "/v1/customization/configs",
        "cust-config",
        "customization config",
        ConfigIn,
        aliases={
            "target_name": "target.name",
            "target_base_model": "target.base_model",
            "target_enabled": "target.enabled",
            "training_type": "training_options.training_type",
            "finetuning_type": "training_options.finetuning_type",
        },
        adjust=partial(complete_target, store),
    )


def router(customizer: Customizer) -> APIRouter:
    """The calls on jobs."""
    routes = APIRouter(prefix=_JOBS)

    @routes.post("")
    def create(body: JobIn) -> dict[str, Any]:
        return customizer.create(body)

    @routes.get("")
    def find(request: Request) -> dict[str, Any]:
        return page_of(
            customizer.listed(), request.query_params, fields=LIST_FIELDS[_JOBS], aliases=_JOB_FILTERS
        )

    @routes.get("/{job_id}")
    def retrieve(job_id: str) -> dict[str, Any]:
        return customizer.view(job_id)

    @routes.get("/{job_id}/status")
    def status(job_id: str) -> dict[str, Any]:
        return customizer.status(job_id)

    @routes.post("/{job_id}/cancel")
    def cancel(job_id: str) -> dict[str, Any]:
        return customizer.cancel(job_id)

    @routes.get("/{job_id}/container-logs")
    def container_logs(job_id: str) -> dict[str, Any]:
        lines = [
            f"{entry['updated_at']} {entry['message']}: {entry['detail'] or ''}".rstrip(": ")
            for entry in customizer.status(job_id)["status_logs"]
        ]
        return {
            "entries": {"training": {"object": "job", "logs": {"customizer": "\n".join(lines)}, "events": []}}
        }

    return routes
