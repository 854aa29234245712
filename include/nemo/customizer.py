"""Customizer: targets, configurations and fine-tuning jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from include.nemo import crud
from include.nemo.call import Call, Listing, path, split_name
from include.nemo.listing import listing, of_project
from include.nemo.models import (
    ContainerLogs,
    CustomizationConfig,
    CustomizationJob,
    CustomizationStatus,
    CustomizationTarget,
)
from include.nemo.urls import Service

ModelT = TypeVar("ModelT", bound=BaseModel)

_CUSTOMIZER = Service.CUSTOMIZER
_ROOT = "/v1/customization"


def list_targets() -> Listing[CustomizationTarget]:
    """GET /v1/customization/targets"""
    return listing(_CUSTOMIZER, "list targets", f"{_ROOT}/targets", CustomizationTarget, filters={})


def get_target(namespace: str, name: str) -> Call[CustomizationTarget]:
    """GET /v1/customization/targets/{namespace}/{name}"""
    where = _ROOT + path("targets", namespace, name)
    return _get(CustomizationTarget, f"get target {namespace}/{name}", where)


def create_target(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[CustomizationTarget]:
    """POST /v1/customization/targets; `fields`: `base_model, num_parameters, precision, enabled, ...`."""
    body = {**fields, "name": name, "namespace": namespace}
    return _post(CustomizationTarget, f"create target {namespace}/{name}", f"{_ROOT}/targets", body)


def update_target(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[CustomizationTarget]:
    """PATCH /v1/customization/targets/{namespace}/{name}; only the given `fields` change."""
    where = _ROOT + path("targets", namespace, name)
    return crud.change(_CUSTOMIZER, CustomizationTarget, f"update target {namespace}/{name}", where, fields)


def delete_target(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/customization/targets/{namespace}/{name}"""
    where = _ROOT + path("targets", namespace, name)
    return crud.remove(_CUSTOMIZER, f"delete target {namespace}/{name}", where)


def list_configs(*, namespace: str | None = None) -> Listing[CustomizationConfig]:
    """GET /v1/customization/configs"""
    filters = {"namespace": namespace}
    return listing(_CUSTOMIZER, "list configs", f"{_ROOT}/configs", CustomizationConfig, filters=filters)


def get_config(namespace: str, name: str) -> Call[CustomizationConfig]:
    """GET /v1/customization/configs/{namespace}/{name}; the name may end in `@version`."""
    where = _ROOT + path("configs", namespace, name)
    return _get(CustomizationConfig, f"get customization config {namespace}/{name}", where)


def create_config(
    namespace: str,
    name: str,
    *,
    target: str | Mapping[str, Any],
    training_options: Sequence[Mapping[str, Any]],
    max_seq_length: int,
    training_precision: str | None = None,
) -> Call[CustomizationConfig]:
    """POST /v1/customization/configs

    A training option is `{training_type, finetuning_type, num_gpus, num_nodes, micro_batch_size,
    tensor_parallel_size, data_parallel_size, use_sequence_parallel}`; lengths are in tokens.
    """
    fields = {
        "name": name,
        "namespace": namespace,
        "target": target,
        "training_options": list(training_options),
        "max_seq_length": max_seq_length,
        "training_precision": training_precision,
    }
    what = f"create customization config {namespace}/{name}"
    return _post(CustomizationConfig, what, f"{_ROOT}/configs", fields)


def update_config(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[CustomizationConfig]:
    """PATCH /v1/customization/configs/{namespace}/{name}; only the given `fields` change."""
    where = _ROOT + path("configs", namespace, name)
    what = f"update customization config {namespace}/{name}"
    return crud.change(_CUSTOMIZER, CustomizationConfig, what, where, fields)


def delete_config(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/customization/configs/{namespace}/{name}"""
    where = _ROOT + path("configs", namespace, name)
    return crud.remove(_CUSTOMIZER, f"delete customization config {namespace}/{name}", where)


def create_job(
    *,
    namespace: str,
    config: str | Mapping[str, Any],
    dataset: str,
    hyperparameters: Mapping[str, Any],
    output_model: str,
    name: str | None = None,
    project: str | None = None,
    description: str | None = None,
    custom_fields: Mapping[str, str] | None = None,
) -> Call[CustomizationJob]:
    """POST /v1/customization/jobs

    `config` is `namespace/name[@version]`, `dataset` and `output_model` are `namespace/name`; the server
    completes `output_model` with `@<job id>`. Not safe to repeat: each POST is one more job.
    """
    dataset_namespace, dataset_name = split_name(dataset)
    fields = {
        "name": name,
        "namespace": namespace,
        "config": config,
        "dataset": {"name": dataset_name, "namespace": dataset_namespace},
        "hyperparameters": hyperparameters,
        "output_model": output_model,
        "project": project,
        "description": description,
        "custom_fields": custom_fields,
    }
    what = f"customize with {config if isinstance(config, str) else 'an inline config'}"
    return _post(CustomizationJob, what, f"{_ROOT}/jobs", fields)


def get_job(job_id: str) -> Call[CustomizationJob]:
    """GET /v1/customization/jobs/{id}"""
    return _get(CustomizationJob, f"get customization job {job_id}", _ROOT + path("jobs", job_id))


def get_status(job_id: str) -> Call[CustomizationStatus]:
    """GET /v1/customization/jobs/{id}/status"""
    what = f"get status of customization job {job_id}"
    return _get(CustomizationStatus, what, _ROOT + path("jobs", job_id, "status"))


def list_jobs(
    *, namespace: str, project: str, custom_fields: Mapping[str, str] | None = None
) -> Listing[CustomizationJob]:
    """GET /v1/customization/jobs of a project whose custom fields hold all of `custom_fields`.

    The service cannot filter by custom fields, so that is done here.
    """
    return listing(
        _CUSTOMIZER,
        f"list customization jobs of {project}",
        f"{_ROOT}/jobs",
        CustomizationJob,
        filters={"namespace": namespace, "project": project},
        keep=of_project(project, custom_fields or {}),
    )


def cancel_job(job_id: str) -> Call[None]:
    """POST /v1/customization/jobs/{id}/cancel. A job that has ended may answer Conflict or Invalid."""
    where = _ROOT + path("jobs", job_id, "cancel")
    return crud.act(_CUSTOMIZER, f"cancel customization job {job_id}", where)


def get_container_logs(job_id: str) -> Call[ContainerLogs]:
    """GET /v1/customization/jobs/{id}/container-logs: what each container wrote, by its name."""
    where = _ROOT + path("jobs", job_id, "container-logs")
    return _get(ContainerLogs, f"get container logs of customization job {job_id}", where)


def _get(model: type[ModelT], name: str, where: str) -> Call[ModelT]:
    return crud.read(_CUSTOMIZER, model, name, where)


def _post(model: type[ModelT], name: str, where: str, fields: Mapping[str, Any]) -> Call[ModelT]:
    return crud.create(_CUSTOMIZER, model, name, where, fields)
