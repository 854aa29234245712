"""Entity Store: namespaces, projects, datasets, models.

Creating what exists answers Conflict; `NemoClient.ensure(create, existing)` accepts that. An update
changes the given `fields` only, by their names on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.nemo import crud
from include.nemo.call import Call, Listing, path
from include.nemo.listing import listing
from include.nemo.models import Dataset, Model, Namespace, Project
from include.nemo.urls import Service

_STORE = Service.ENTITY_STORE
_NAMESPACES = "/v1/namespaces"
_PROJECTS = "/v1/projects"
_DATASETS = "/v1/datasets"
_MODELS = "/v1/models"


def create_namespace(namespace: str) -> Call[Namespace]:
    """POST /v1/namespaces"""
    return crud.create(_STORE, Namespace, f"create namespace {namespace}", _NAMESPACES, {"id": namespace})


def get_namespace(namespace: str) -> Call[Namespace]:
    """GET /v1/namespaces/{id}"""
    return crud.read(_STORE, Namespace, f"get namespace {namespace}", _NAMESPACES + path(namespace))


def update_namespace(namespace: str, *, fields: Mapping[str, Any]) -> Call[Namespace]:
    """PATCH /v1/namespaces/{id}; `fields`: `description, custom_fields, ...`."""
    where = _NAMESPACES + path(namespace)
    return crud.change(_STORE, Namespace, f"update namespace {namespace}", where, fields)


def delete_namespace(namespace: str) -> Call[None]:
    """DELETE /v1/namespaces/{id}"""
    return crud.remove(_STORE, f"delete namespace {namespace}", _NAMESPACES + path(namespace))


def list_namespaces() -> Listing[Namespace]:
    """GET /v1/namespaces"""
    return listing(_STORE, "list namespaces", _NAMESPACES, Namespace, filters={})


def create_project(namespace: str, name: str, *, description: str | None = None) -> Call[Project]:
    """POST /v1/projects"""
    fields = {"name": name, "namespace": namespace, "description": description}
    return crud.create(_STORE, Project, f"create project {namespace}/{name}", _PROJECTS, fields)


def get_project(namespace: str, name: str) -> Call[Project]:
    """GET /v1/projects/{namespace}/{name}"""
    return crud.read(_STORE, Project, f"get project {namespace}/{name}", _PROJECTS + path(namespace, name))


def update_project(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[Project]:
    """PATCH /v1/projects/{namespace}/{name}; `fields`: `description, custom_fields, ...`."""
    where = _PROJECTS + path(namespace, name)
    return crud.change(_STORE, Project, f"update project {namespace}/{name}", where, fields)


def delete_project(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/projects/{namespace}/{name}"""
    return crud.remove(_STORE, f"delete project {namespace}/{name}", _PROJECTS + path(namespace, name))


def list_projects(*, namespace: str | None = None) -> Listing[Project]:
    """GET /v1/projects"""
    return listing(_STORE, "list projects", _PROJECTS, Project, filters={"namespace": namespace})


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
    return crud.create(_STORE, Dataset, f"create dataset {namespace}/{name}", _DATASETS, fields)


def get_dataset(namespace: str, name: str) -> Call[Dataset]:
    """GET /v1/datasets/{namespace}/{name}"""
    return crud.read(_STORE, Dataset, f"get dataset {namespace}/{name}", _DATASETS + path(namespace, name))


def update_dataset(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[Dataset]:
    """PATCH /v1/datasets/{namespace}/{name}; `fields`: `description, files_url, project, ...`."""
    where = _DATASETS + path(namespace, name)
    return crud.change(_STORE, Dataset, f"update dataset {namespace}/{name}", where, fields)


def delete_dataset(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/datasets/{namespace}/{name}: the entry only; the files stay in the Data Store."""
    return crud.remove(_STORE, f"delete dataset {namespace}/{name}", _DATASETS + path(namespace, name))


def list_datasets(*, namespace: str | None = None, project: str | None = None) -> Listing[Dataset]:
    """GET /v1/datasets"""
    filters = {"namespace": namespace, "project": project}
    return listing(_STORE, "list datasets", _DATASETS, Dataset, filters=filters)


def create_model(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[Model]:
    """POST /v1/models; `fields`: `base_model, artifact, spec, peft, prompt, project, ...`."""
    body = {**fields, "name": name, "namespace": namespace}
    return crud.create(_STORE, Model, f"create model {namespace}/{name}", _MODELS, body)


def get_model(namespace: str, name: str) -> Call[Model]:
    """GET /v1/models/{namespace}/{name}; the name of a customized model ends in `@<job id>`."""
    return crud.read(_STORE, Model, f"get model {namespace}/{name}", _MODELS + path(namespace, name))


def update_model(namespace: str, name: str, *, fields: Mapping[str, Any]) -> Call[Model]:
    """PATCH /v1/models/{namespace}/{name}; `fields` as in `create_model`."""
    where = _MODELS + path(namespace, name)
    return crud.change(_STORE, Model, f"update model {namespace}/{name}", where, fields)


def delete_model(namespace: str, name: str) -> Call[None]:
    """DELETE /v1/models/{namespace}/{name}"""
    return crud.remove(_STORE, f"delete model {namespace}/{name}", _MODELS + path(namespace, name))


def list_models(*, namespace: str | None = None, project: str | None = None) -> Listing[Model]:
    """GET /v1/models of the Entity Store (not of the NIM proxy: `inference.list_models`)."""
    filters = {"namespace": namespace, "project": project}
    return listing(_STORE, "list models", _MODELS, Model, filters=filters)
