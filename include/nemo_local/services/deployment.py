"""Deployment: NIMs that hold GPUs, are pending for a simulated while and then ready."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from include.nemo_local import clock
from include.nemo_local.behaviours import Behaviours
from include.nemo_local.errors import ApiError, DuplicateRecord, Invalid, NotFound
from include.nemo_local.gpus import DEPLOYMENT, GpuPool
from include.nemo_local.listing import page_of
from include.nemo_local.services.entities import Entities, EntityIn, EntityKind, Name, deleted
from include.nemo_local.services.list_fields import LIST_FIELDS
from include.nemo_local.store import Record, Store

PATH = "/v1/deployment/model-deployments"


class NimDeployment(BaseModel):
    """How a NIM is to run."""

    model_config = ConfigDict(extra="allow")

    image_name: str
    image_tag: str
    gpu: int = Field(default=1, ge=0)
    pvc_size: str | None = None
    additional_envs: dict[str, str] | None = None
    disable_lora_support: bool = False


class InlineConfig(BaseModel):
    """A deployment's configuration given in place."""

    model_config = ConfigDict(extra="allow")

    model: str
    nim_deployment: NimDeployment


class DeploymentIn(BaseModel):
    """Body of create: ``config`` in place, or ``namespace/name`` of a stored one."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    name: Annotated[Name, Field(min_length=1)]
    namespace: Name = "default"
    config: InlineConfig | str
    description: str | None = None
    project: str | None = None
    custom_fields: dict[str, Any] = Field(default_factory=dict)


class DeploymentConfigIn(EntityIn):
    """A stored configuration."""

    model: str
    nim_deployment: NimDeployment


CONFIGS = EntityKind(
    "deployment_config",
    "/v1/deployment/configs",
    "deployment-config",
    "deployment config",
    DeploymentConfigIn,
)


class Deployments:
    """The state of a deployment follows from when it got its GPUs, so a restart changes nothing."""

    def __init__(
        self, store: Store, gpus: GpuPool, behaviours: Behaviours, configs: Entities, deploy_seconds: float
    ) -> None:
        self._store, self._gpus, self._behaviours, self._configs = store, gpus, behaviours, configs
        self._deploy_seconds = deploy_seconds

    def create(self, given: DeploymentIn) -> dict[str, Any]:
        """Raises ApiError 500 for a name that exists, as the service does in the field."""
        config = self._config(given.config)
        body = given.model_dump() | {
            "created_at": clock.stamp_nanoseconds(),
            "url": "",
            "models": [config["model"]],
        }
        record_id = f"{given.namespace}/{given.name}"
        hidden = {
            "model": config["model"],
            "gpus": config["nim_deployment"]["gpu"],
            "deploy_seconds": self._behaviours.seconds(
                "deployment", config["model"], default=self._deploy_seconds
            ),
        }
        try:
            record = self._store.insert(
                Record(DEPLOYMENT, record_id, given.namespace, given.name, body, hidden)
            )
        except DuplicateRecord:
            raise ApiError(500, "model deployment already exists", {"x-should-retry": "false"}) from None
        self._gpus.settle()
        return self._view(record, "pending", "Model deployment created")

    def listed(self) -> list[dict[str, Any]]:
        return [self.view(record) for record in self._store.select(DEPLOYMENT)]

    def view_of(self, namespace: str, name: str) -> dict[str, Any]:
        return self.view(self._record(namespace, name))

    def delete(self, namespace: str, name: str) -> dict[str, Any]:
        record = self._record(namespace, name)
        self._store.delete(DEPLOYMENT, record.id)
        self._gpus.settle()
        return deleted(record.id)

    def ready_models(self) -> list[str]:
        """The models of all ready deployments, oldest first, each once."""
        ready = [r for r in self._store.select(DEPLOYMENT) if self.status(r)[0] == "ready"]
        return list(dict.fromkeys(r.hidden["model"] for r in ready))

    def held_gpus(self) -> list[dict[str, Any]]:
        """One line a deployment, for the state page."""
        return [
            {"name": r.id, "model": r.hidden["model"], "status": self.status(r)[0], "gpus": r.hidden["gpus"]}
            for r in self._store.select(DEPLOYMENT)
        ]

    def settle(self) -> None:
        """Writes down what failed, before the behaviours that made it fail are cleared."""
        for record in self._store.select(DEPLOYMENT):
            self.status(record)

    def view(self, record: Record) -> dict[str, Any]:
        return self._view(record, *self.status(record))

    def status(self, record: Record) -> tuple[str, str]:
        """The deployment's state now, with its description."""
        hidden = record.hidden
        if hidden.get("failure"):
            return "failed", hidden["failure"]
        if hidden.get("granted_at") is None:
            return "pending", self._gpus.shortage(record)
        ready_at = hidden["granted_at"] + hidden["deploy_seconds"]
        behaviour = self._behaviours.of("deployment", hidden["model"], until=ready_at)
        if clock.now() < ready_at or (behaviour is not None and behaviour.hold):
            return "pending", "Model deployment is starting"
        if behaviour is not None and behaviour.fail is not None:
            return "failed", self._fail(record, behaviour.fail)
        return "ready", "Model deployment is ready"

    def _fail(self, record: Record, reason: str) -> str:
        def mutate(stored: Record) -> None:
            stored.hidden["failure"] = reason

        self._store.change(DEPLOYMENT, record.id, mutate)
        return reason

    def _view(self, record: Record, status: str, description: str) -> dict[str, Any]:
        details = {"status": status, "description": description}
        return record.body | {"deployed": status == "ready", "status_details": details}

    def _record(self, namespace: str, name: str) -> Record:
        found = self._store.get(DEPLOYMENT, namespace, name)
        if found is None:
            raise NotFound(f"model deployment {namespace}/{name} not found")
        return found

    def _config(self, given: InlineConfig | str) -> dict[str, Any]:
        if isinstance(given, InlineConfig):
            return given.model_dump()
        namespace, _, name = given.partition("/")
        if not name:
            raise Invalid(f"config {given!r} must be <namespace>/<name>, or given in place", field="config")
        return self._configs.record(namespace, name).body


def router(deployments: Deployments) -> APIRouter:
    """The calls on deployments."""
    routes = APIRouter(prefix=PATH)

    @routes.post("")
    def create(body: DeploymentIn) -> dict[str, Any]:
        return deployments.create(body)

    @routes.get("")
    def find(request: Request) -> dict[str, Any]:
        return page_of(deployments.listed(), request.query_params, fields=LIST_FIELDS[PATH])

    @routes.get("/{namespace}/{name}")
    def retrieve(namespace: str, name: str) -> dict[str, Any]:
        return deployments.view_of(namespace, name)

    @routes.delete("/{namespace}/{name}")
    def delete(namespace: str, name: str) -> dict[str, Any]:
        return deployments.delete(namespace, name)

    return routes
