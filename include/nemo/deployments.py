"""Deployment: NIMs that serve a model, and stored configurations of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.nemo import crud
from include.nemo.call import Call, Listing, path
from include.nemo.listing import listing
from include.nemo.models import Deployment, DeploymentConfig
from include.nemo.urls import Service

_DEPLOYMENT = Service.DEPLOYMENT
_COLLECTION = "/v1/deployment/model-deployments"
_CONFIGS = "/v1/deployment/configs"


def create(
    namespace: str,
    name: str,
    *,
    config: str | Mapping[str, Any],
    project: str | None = None,
    description: str | None = None,
    custom_fields: Mapping[str, str] | None = None,
) -> Call[Deployment]:
    """POST /v1/deployment/model-deployments

    `config` is `namespace/name` of a stored configuration, or the configuration itself:
    `{"model": ..., "nim_deployment": {"image_name", "image_tag", "gpu", "pvc_size", "additional_envs"}}`.
    A name that is taken raises Conflict, whatever status the service uses for it.
    """
    fields = {
        "name": name,
        "namespace": namespace,
        "config": config,
        "project": project,
        "description": description,
        "custom_fields": custom_fields,
    }
    return crud.create(_DEPLOYMENT, Deployment, f"deploy {namespace}/{name}", _COLLECTION, fields)


def get(namespace: str, name: str) -> Call[Deployment]:
    """GET /v1/deployment/model-deployments/{namespace}/{name}"""
    where = _COLLECTION + path(namespace, name)
    return crud.read(_DEPLOYMENT, Deployment, f"get deployment {namespace}/{name}", where)


def update(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[Deployment]:
    """PATCH /v1/deployment/model-deployments/{namespace}/{name}; only the given `fields` change."""
    where = _COLLECTION + path(namespace, name)
    return crud.change(_DEPLOYMENT, Deployment, f"update deployment {namespace}/{name}", where, fields)


def delete(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/deployment/model-deployments/{namespace}/{name}"""
    return crud.remove(_DEPLOYMENT, f"undeploy {namespace}/{name}", _COLLECTION + path(namespace, name))


def list_all(*, namespace: str | None = None, project: str | None = None) -> Listing[Deployment]:
    """GET /v1/deployment/model-deployments, filtered here too: the service may ignore filters."""

    def keep(deployment: Deployment) -> bool:
        return (namespace is None or deployment.namespace == namespace) and (
            project is None or deployment.project == project
        )

    filters = {"namespace": namespace, "project": project}
    return listing(_DEPLOYMENT, "list deployments", _COLLECTION, Deployment, filters=filters, keep=keep)


def create_config(
    namespace: str,
    name: str,
    *,
    model: str | Mapping[str, Any],
    nim_deployment: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> Call[DeploymentConfig]:
    """POST /v1/deployment/configs; `nim_deployment` as in `create`."""
    fields = {
        "name": name,
        "namespace": namespace,
        "model": model,
        "nim_deployment": nim_deployment,
        "description": description,
    }
    what = f"create deployment config {namespace}/{name}"
    return crud.create(_DEPLOYMENT, DeploymentConfig, what, _CONFIGS, fields)


def get_config(namespace: str, name: str) -> Call[DeploymentConfig]:
    """GET /v1/deployment/configs/{namespace}/{name}"""
    where = _CONFIGS + path(namespace, name)
    return crud.read(_DEPLOYMENT, DeploymentConfig, f"get deployment config {namespace}/{name}", where)


def update_config(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[DeploymentConfig]:
    """PATCH /v1/deployment/configs/{namespace}/{name}; only the given `fields` change."""
    where = _CONFIGS + path(namespace, name)
    what = f"update deployment config {namespace}/{name}"
    return crud.change(_DEPLOYMENT, DeploymentConfig, what, where, fields)


def delete_config(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/deployment/configs/{namespace}/{name}"""
    where = _CONFIGS + path(namespace, name)
    return crud.remove(_DEPLOYMENT, f"delete deployment config {namespace}/{name}", where)


def list_configs(*, namespace: str | None = None) -> Listing[DeploymentConfig]:
    """GET /v1/deployment/configs"""
    filters = {"namespace": namespace}
    return listing(_DEPLOYMENT, "list deployment configs", _CONFIGS, DeploymentConfig, filters=filters)
