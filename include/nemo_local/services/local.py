"""What the real services lack: health with a plain word on what this is, faults, behaviours, state."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from include.nemo_local.behaviours import Behaviour, Behaviours
from include.nemo_local.faults import Fault, Faults
from include.nemo_local.gpus import GpuPool
from include.nemo_local.services.customizer import Customizer
from include.nemo_local.services.deployment import Deployments
from include.nemo_local.services.evaluator import Evaluator

DETAIL = (
    "local stand-in for NVIDIA NeMo Microservices: small models of its own, simulated latencies; "
    "no figure from here says anything about the models whose names it uses"
)


def health_router(engine: str) -> APIRouter:
    """``GET /health``, which names the engine too."""
    routes = APIRouter()

    @routes.get("/health")
    def health() -> dict[str, Any]:
        return {
            "status": "ok",
            "service": "nemo_local",
            "simulated": True,
            "engine": engine,
            "detail": DETAIL,
        }

    return routes


def fault_router(faults: Faults, behaviours: Behaviours, deployments: Deployments) -> APIRouter:
    """Faults and behaviours: add, list, clear."""
    routes = APIRouter(prefix="/_local")

    @routes.post("/faults")
    def add_fault(fault: Fault) -> dict[str, Any]:
        faults.add(fault)
        return fault.model_dump()

    @routes.get("/faults")
    def list_faults() -> list[dict[str, Any]]:
        return [fault.model_dump() for fault in faults.listed()]

    @routes.delete("/faults")
    def clear_faults() -> dict[str, Any]:
        faults.clear()
        return {"message": "no faults"}

    @routes.post("/behaviours")
    def add_behaviour(behaviour: Behaviour) -> dict[str, Any]:
        behaviours.add(behaviour)
        return behaviour.model_dump()

    @routes.delete("/behaviours")
    def clear_behaviours() -> dict[str, Any]:
        deployments.settle()
        behaviours.clear()
        return {"message": "no behaviours"}

    return routes


def state_router(
    gpus: GpuPool, deployments: Deployments, customizer: Customizer, evaluator: Evaluator
) -> APIRouter:
    """``GET /_local/state``: what is deployed and what runs."""
    routes = APIRouter(prefix="/_local")

    @routes.get("/state")
    def state() -> dict[str, Any]:
        held, training, evaluating = deployments.held_gpus(), customizer.running(), evaluator.running()
        return {
            "deployments": len(held),
            "running_jobs": {"customization": len(training), "evaluation": len(evaluating)},
            "gpus": {"total": gpus.total, "used": gpus.used()},
            "lists": {"deployments": held, "customization": training, "evaluation": evaluating},
        }

    @routes.get("/gpu-uses")
    def gpu_uses() -> list[dict[str, Any]]:
        return gpus.uses()

    return routes
