"""Entity Store: namespaces, projects, datasets, models; and the named configurations of other services."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, create_model

from include.nemo_local import clock
from include.nemo_local.errors import Conflict, DuplicateRecord, NotFound
from include.nemo_local.listing import page_of
from include.nemo_local.services.list_fields import LIST_FIELDS
from include.nemo_local.store import Record, Store

Name = Annotated[str, Field(pattern=r"^[\w\-\+.@:]*$", max_length=255)]


class EntityIn(BaseModel):
    """What every entity may carry; unknown fields are kept."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    name: Name | None = None
    namespace: Name = "default"
    description: str | None = None
    project: str | None = None
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    ownership: dict[str, Any] | None = None


class DatasetIn(EntityIn):
    """A dataset entity points at files of the Data Store."""

    files_url: str


class NamespaceIn(BaseModel):
    """A namespace has an id and no name."""

    model_config = ConfigDict(extra="allow")

    id: Name
    description: str | None = None
    project: str | None = None
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    ownership: dict[str, Any] | None = None


@dataclass(frozen=True)
class EntityKind:
    """One kind of named entity: where it is served and how its id begins."""

    kind: str
    path: str
    prefix: str
    label: str
    model: type[EntityIn] = EntityIn
    aliases: dict[str, str] = field(default_factory=dict)
    adjust: Callable[[dict[str, Any]], None] | None = None
    shown: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """The body as the wire shows it: where secrets are in it, without them."""


PROJECTS = EntityKind("project", "/v1/projects", "project", "project")
DATASETS = EntityKind("dataset", "/v1/datasets", "dataset", "dataset", DatasetIn)
MODELS = EntityKind("model", "/v1/models", "model", "model")


class Entities:
    """Create, read, change and delete entities of one kind."""

    def __init__(self, store: Store, kind: EntityKind) -> None:
        self._store = store
        self.kind = kind

    def create(self, given: dict[str, Any], hidden: dict[str, Any] | None = None) -> dict[str, Any]:
        """Stores the entity and returns it as the wire shows it. Raises Conflict when the name is taken."""
        entity_id = clock.new_id(self.kind.prefix)
        moment = clock.stamp()
        body = {**given, "id": entity_id, "name": given.get("name") or entity_id}
        body.setdefault("namespace", "default")
        body |= {"created_at": moment, "updated_at": moment}
        if self.kind.adjust is not None:
            self.kind.adjust(body)
        record = Record(self.kind.kind, entity_id, body["namespace"], body["name"], body, hidden or {})
        try:
            self._store.insert(record)
        except DuplicateRecord:
            raise Conflict(
                f"{self.kind.label} {body['namespace']}/{body['name']} already exists: "
                "use it or choose another name"
            ) from None
        return body

    def record(self, namespace: str, name: str) -> Record:
        """Raises NotFound."""
        found = self._store.get(self.kind.kind, namespace, name)
        if found is None:
            raise NotFound(f"{self.kind.label} {namespace}/{name} not found")
        return found

    def bodies(self) -> list[dict[str, Any]]:
        return [record.body for record in self._store.select(self.kind.kind)]

    def update(self, namespace: str, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Raises NotFound. What identifies the entity stays as it is."""
        record_id = self.record(namespace, name).id
        self._store.change(self.kind.kind, record_id, lambda record: _merge(record, changes))
        return self.record(namespace, name).body

    def delete(self, namespace: str, name: str) -> dict[str, Any]:
        record = self.record(namespace, name)
        self._store.delete(self.kind.kind, record.id)
        return deleted(record.id)


def deleted(entity_id: str) -> dict[str, Any]:
    """The answer to a delete: JSON with status 200, which every client can read."""
    return {"id": entity_id, "message": "Resource deleted successfully.", "deleted_at": clock.stamp()}


def _merge(record: Record, changes: dict[str, Any]) -> None:
    fixed = {"id", "name", "namespace", "created_at"}
    record.body.update({key: value for key, value in changes.items() if key not in fixed})
    record.body["updated_at"] = clock.stamp()


def entity_router(entities: Entities) -> APIRouter:
    """The five calls of one kind of entity."""
    router = APIRouter()
    kind, fields = entities.kind, LIST_FIELDS[entities.kind.path]
    one = kind.path + "/{namespace}/{name}"
    patch_model = _all_optional(kind.model)

    @router.post(kind.path)
    def create(body: kind.model) -> dict[str, Any]:  # type: ignore[name-defined]
        return kind.shown(entities.create(body.model_dump()))

    @router.get(kind.path)
    def find(request: Request) -> dict[str, Any]:
        bodies = map(kind.shown, entities.bodies())
        return page_of(bodies, request.query_params, fields=fields, aliases=kind.aliases)

    @router.get(one)
    def retrieve(namespace: str, name: str) -> dict[str, Any]:
        return kind.shown(entities.record(namespace, name).body)

    @router.patch(one)
    def update(namespace: str, name: str, body: patch_model) -> dict[str, Any]:  # type: ignore[valid-type]
        changes = body.model_dump(exclude_unset=True)  # type: ignore[attr-defined]
        return kind.shown(entities.update(namespace, name, changes))

    @router.delete(one)
    def delete(namespace: str, name: str) -> dict[str, Any]:
        return entities.delete(namespace, name)

    return router


def _all_optional(model: type[EntityIn]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (info.annotation | None, None)  # type: ignore[operator]
        for name, info in model.model_fields.items()
    }
    return create_model(f"{model.__name__}Patch", __config__=ConfigDict(extra="allow"), **fields)


def namespace_router(store: Store) -> APIRouter:
    """Namespaces: addressed by one segment, their id being their name."""
    router = APIRouter(prefix="/v1/namespaces")

    def existing(namespace_id: str) -> Record:
        found = store.by_id("namespace", namespace_id)
        if found is None:
            raise NotFound(f"namespace {namespace_id} not found: create it with POST /v1/namespaces")
        return found

    @router.post("")
    def create(body: NamespaceIn) -> dict[str, Any]:
        moment = clock.stamp()
        document = body.model_dump() | {"created_at": moment, "updated_at": moment}
        try:
            store.insert(Record("namespace", body.id, "", body.id, document))
        except DuplicateRecord:
            raise Conflict(f"namespace {body.id} already exists") from None
        return document

    @router.get("")
    def find(request: Request) -> dict[str, Any]:
        bodies = (record.body for record in store.select("namespace"))
        return page_of(bodies, request.query_params, fields=LIST_FIELDS["/v1/namespaces"])

    @router.get("/{namespace_id}")
    def retrieve(namespace_id: str) -> dict[str, Any]:
        return existing(namespace_id).body

    @router.patch("/{namespace_id}")
    def update(namespace_id: str, body: dict[str, Any]) -> dict[str, Any]:
        store.change("namespace", namespace_id, lambda record: _merge(record, body))
        return existing(namespace_id).body

    @router.delete("/{namespace_id}")
    def delete(namespace_id: str) -> dict[str, Any]:
        existing(namespace_id)
        store.delete("namespace", namespace_id)
        return deleted(namespace_id)

    return router
