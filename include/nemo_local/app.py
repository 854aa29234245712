"""The application: all services over one store."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from include.nemo_local import catalogue
from include.nemo_local.behaviours import Behaviours
from include.nemo_local.blobs import Blobs
from include.nemo_local.engines import Engine, make_engine
from include.nemo_local.errors import ApiError
from include.nemo_local.faults import FaultMiddleware, Faults
from include.nemo_local.gpus import GpuPool
from include.nemo_local.jobs import JobThreads
from include.nemo_local.repositories import Repositories
from include.nemo_local.served import ServedModels
from include.nemo_local.services import (
    customization_routes,
    datastore,
    deployment,
    entities,
    evaluator,
    local,
    not_offered,
    page,
    proxy,
)
from include.nemo_local.services.customizer import Customizer
from include.nemo_local.services.deployment import Deployments
from include.nemo_local.services.embedding_training import WithEmbeddings
from include.nemo_local.services.evaluation_run import EvaluationRun
from include.nemo_local.services.evaluator import Evaluator
from include.nemo_local.services.training import Training
from include.nemo_local.settings import Settings
from include.nemo_local.store import Store

log = logging.getLogger(__name__)
_STOP_SECONDS = 0.5


@dataclass(frozen=True)
class _Services:
    """Everything that the routers call, over one store."""

    store: Store
    engine: Engine
    threads: JobThreads
    faults: Faults
    behaviours: Behaviours
    repositories: Repositories
    gpus: GpuPool
    deployments: Deployments
    served: ServedModels
    customizer: Customizer
    evaluator: Evaluator


def create_app(settings: Settings) -> FastAPI:
    """Builds the server over the state in ``settings.data_dir``; jobs found there go on when it starts.

    Raises FolderInUse when another server works on that folder, EngineMissing without the engine's libraries.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    services = _services(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.customizer.resume()
        services.evaluator.resume()
        log.info("%s; engine %s: %s", local.DETAIL, services.engine.name, services.engine.detail)
        yield
        services.threads.stop(_STOP_SECONDS)
        services.store.close()

    app = FastAPI(title="nemo_local", description=local.DETAIL, lifespan=lifespan)
    app.add_middleware(FaultMiddleware, faults=services.faults)
    app.add_exception_handler(ApiError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    for router in (*_entity_routers(services.store), *_service_routers(services)):
        app.include_router(router)
    return app


def _services(settings: Settings) -> _Services:
    data = settings.data_dir
    engine = make_engine(settings.engine, data)
    store = Store(data / "state.sqlite")
    catalogue.install(store)
    behaviours, threads, gpus = Behaviours(store), JobThreads(), GpuPool(store, settings.gpus)
    repositories = Repositories(store, Blobs(data / "blobs"))
    configs = entities.Entities(store, deployment.CONFIGS)
    deployments = Deployments(store, gpus, behaviours, configs, deploy_seconds=settings.deploy_seconds)
    served = ServedModels(store, deployments, engine)
    training = Training(
        *(store, WithEmbeddings(engine), gpus, repositories, behaviours),
        adapters_dir=data / "adapters",
        training_seconds=settings.training_seconds,
        listing_seconds=settings.adapter_listing_seconds,
    )
    evaluation = EvaluationRun(
        store,
        repositories,
        served,
        behaviours,
        results_dir=data / "results",
        evaluation_seconds=settings.evaluation_seconds,
    )
    return _Services(
        store=store,
        engine=engine,
        threads=threads,
        faults=Faults(),
        behaviours=behaviours,
        repositories=repositories,
        gpus=gpus,
        deployments=deployments,
        served=served,
        customizer=Customizer(store, gpus, threads, training, default_seed=settings.seed),
        evaluator=Evaluator(store, threads, evaluation),
    )


def _entity_routers(store: Store) -> Iterator[APIRouter]:
    yield entities.namespace_router(store)
    for kind in (
        entities.PROJECTS,
        entities.DATASETS,
        entities.MODELS,
        deployment.CONFIGS,
        customization_routes.TARGETS,
        customization_routes.configs_kind(store),
        evaluator.TARGETS,
        evaluator.CONFIGS,
    ):
        yield entities.entity_router(entities.Entities(store, kind))


def _service_routers(services: _Services) -> Iterator[APIRouter]:
    yield local.health_router(services.engine.name)
    yield local.fault_router(services.faults, services.behaviours, services.deployments)
    yield local.state_router(services.gpus, services.deployments, services.customizer, services.evaluator)
    yield page.router(
        services.gpus, services.deployments, services.customizer, services.evaluator, services.served
    )
    yield datastore.namespace_router(services.store)
    yield datastore.repository_router(services.store, services.repositories)
    yield datastore.commit_router(services.repositories)
    yield datastore.lfs_router(services.repositories)
    yield datastore.download_router(services.repositories)
    yield deployment.router(services.deployments)
    yield customization_routes.router(services.customizer)
    yield evaluator.job_router(services.evaluator)
    yield evaluator.result_router(services.store)
    yield proxy.router(services.served)
    yield not_offered.router()


async def _answer_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """What the services say and no more: the input itself may be too large, secret or no text at all."""
    if not isinstance(error, RequestValidationError):
        raise error
    detail = [{key: problem[key] for key in ("loc", "msg", "type")} for problem in error.errors()]
    return JSONResponse({"detail": detail}, status_code=422)
