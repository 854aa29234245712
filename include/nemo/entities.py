"""Entity Store: namespaces, projects, datasets, models.

Creating what exists answers Conflict; `NemoClient.ensure(create, existing)` accepts that.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from include.nemo.call import Call, Listing, path, without_nones
from include.nemo.listing import listing
from include.nemo.models import Dataset, Model, Namespace, Project
from include.nemo.urls import Service

ModelT = TypeVar("ModelT", bound=BaseModel)

_STORE = Service.ENTITY_STORE


def create_namespace(namespace: str) -> Call[Namespace]:
    """POST /v1/namespaces"""
    return _create(Namespace, f"create namespace {namespace}", "namespaces", {"id": namespace})


def get_namespace(namespace: str) -> Call[Namespace]:
    """GET /v1/namespaces/{id}"""
    return _get(Namespace, f"get namespace {namespace}", "namespaces", namespace)


def create_project(namespace: str, name: str, *, description: str | None = None) -> Call[Project]:
    """POST /v1/projects"""
    fields = {"name": name, "namespace": namespace, "description": description}
    return _create(Project, f"create project {namespace}/{name}", "projects", fields)


def get_project(namespace: str, name: str) -> Call[Project]:
    """GET /v1/projects/{namespace}/{name}"""
    return _get(Project, f"get project {namespace}/{name}", "projects", namespace, name)


def create_dataset(
    namespace: str,
    name: str,
    *,
    files_url: str,
    project: str | None = None,
    description: str | None = None,
) -> Call[Dataset]:
    """POST /v1/datasets: registers files that are (or will be) in the Data Store."""
    fields = {
        "name": name,
        "namespace": namespace,
        "files_url": files_url,
        "project": project,
        "description": description,
    }
    return _create(Dataset, f"create dataset {namespace}/{name}", "datasets", fields)


def get_dataset(namespace: str, name: str) -> Call[Dataset]:
    """GET /v1/datasets/{namespace}/{name}"""
    return _get(Dataset, f"get dataset {namespace}/{name}", "datasets", namespace, name)


def delete_dataset(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/datasets/{namespace}/{name}: the entry only; the files stay in the Data Store."""
    return _delete(f"delete dataset {namespace}/{name}", "datasets", namespace, name)


def list_datasets(*, namespace: str | None = None, project: str | None = None) -> Listing[Dataset]:
    """GET /v1/datasets"""
    filters = {"namespace": namespace, "project": project}
    return listing(_STORE, "list datasets", "/v1/datasets", Dataset, filters=filters)


def get_model(namespace: str, name: str) -> Call[Model]:
    """GET /v1/models/{namespace}/{name}; the name of a customized model ends in `@<job id>`."""
    return _get(Model, f"get model {namespace}/{name}", "models", namespace, name)


def delete_model(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/models/{namespace}/{name}"""
    return _delete(f"delete model {namespace}/{name}", "models", namespace, name)


def list_models(*, namespace: str | None = None, project: str | None = None) -> Listing[Model]:
    """GET /v1/models of the Entity Store (not of the NIM proxy: `inference.list_models`)."""
    filters = {"namespace": namespace, "project": project}
    return listing(_STORE, "list models", "/v1/models", Model, filters=filters)


def _create(
    model: type[ModelT], name: str, collection: str, fields: dict[str, str | None] | dict[str, str]
) -> Call[ModelT]:
    return Call(
        service=_STORE,
        name=name,
        method="POST",
        path=path("v1", collection),
        json=without_nones(fields),
        parse=model.model_validate,
    )


def _get(model: type[ModelT], name: str, *segments: str) -> Call[ModelT]:
    return Call(
        service=_STORE,
        name=name,
        method="GET",
        path=path("v1", *segments),
        parse=model.model_validate,
        safe_to_repeat=True,
    )


def _delete(name: str, *segments: str) -> Call[None]:
    return Call(
        service=_STORE,
        name=name,
        method="DELETE",
        path=path("v1", *segments),
        parse=lambda _: None,
        safe_to_repeat=True,
    )
