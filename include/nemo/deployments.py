"""Deployment: NIMs that serve a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.nemo.call import Call, Listing, path, without_nones
from include.nemo.listing import listing
from include.nemo.models import Deployment
from include.nemo.urls import Service

_DEPLOYMENT = Service.DEPLOYMENT
_COLLECTION = "/v1/deployment/model-deployments"


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
    return Call(
        service=_DEPLOYMENT,
        name=f"deploy {namespace}/{name}",
        method="POST",
        path=_COLLECTION,
        json=without_nones(fields),
        parse=Deployment.model_validate,
    )


def get(namespace: str, name: str) -> Call[Deployment]:
    """GET /v1/deployment/model-deployments/{namespace}/{name}"""
    return Call(
        service=_DEPLOYMENT,
        name=f"get deployment {namespace}/{name}",
        method="GET",
        path=_COLLECTION + path(namespace, name),
        parse=Deployment.model_validate,
        safe_to_repeat=True,
    )


def delete(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/deployment/model-deployments/{namespace}/{name}"""
    return Call(
        service=_DEPLOYMENT,
        name=f"undeploy {namespace}/{name}",
        method="DELETE",
        path=_COLLECTION + path(namespace, name),
        parse=lambda _: None,
        safe_to_repeat=True,
    )


def list_all(*, namespace: str | None = None, project: str | None = None) -> Listing[Deployment]:
    """GET /v1/deployment/model-deployments, filtered here too: the service may ignore filters."""

    def keep(deployment: Deployment) -> bool:
        return (namespace is None or deployment.namespace == namespace) and (
            project is None or deployment.project == project
        )

    filters = {"namespace": namespace, "project": project}
    return listing(_DEPLOYMENT, "list deployments", _COLLECTION, Deployment, filters=filters, keep=keep)
