"""The official SDK's asynchronous client through one short flow, from the data to the results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
import travel_desk
from contract_faces import Installation, Official
from nemo_microservices import AsyncNeMoMicroservices, ConflictError, NotFoundError
from test_jobs import END, deployment_config
from test_sdk_tutorial import tool_calling


async def _until(at: Installation, read: Callable[[], Awaitable[Any]], good: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + at.patience_seconds
    while not good(answer := await read()):
        assert time.monotonic() < deadline, f"still waiting: {answer}"
        await asyncio.sleep(10 if at.real else 0.05)
    return answer


async def _served(nemo: AsyncNeMoMicroservices) -> list[str]:
    return [model.id for model in (await nemo.inference.models.list()).data or []]


async def test_a_short_flow(installation: Installation) -> None:
    at, namespace = installation, f"async-{uuid4().hex[:8]}"
    files = Official(at)
    rows = travel_desk.jsonl([travel_desk.evaluation_row(turn) for turn in travel_desk.turns(10, seed=3)])

    def uploaded() -> None:
        files.create_store_namespace(namespace)
        files.create_repo(f"{namespace}/d")
        files.upload(f"{namespace}/d", "testing/eval.jsonl", rows)

    await asyncio.to_thread(uploaded)
    headers = {"Authorization": f"Bearer {at.token}"} if at.token else {}
    async with AsyncNeMoMicroservices(
        base_url=at.urls.base_url, inference_base_url=at.urls.inference_url, default_headers=headers
    ) as nemo:
        await nemo.namespaces.create(id=namespace)
        try:
            await _flow(at, nemo, namespace)
        finally:
            await nemo.namespaces.delete(namespace)
            await asyncio.to_thread(files.delete_repo, f"{namespace}/d")


async def _flow(at: Installation, nemo: AsyncNeMoMicroservices, namespace: str) -> None:
    url = f"hf://datasets/{namespace}/d"
    made = await nemo.datasets.create(name="d", namespace=namespace, files_url=url)
    found = [dataset async for dataset in nemo.datasets.list(filter={"namespace": namespace}, page_size=1)]
    assert [dataset.id for dataset in found] == [made.id]

    deployments = nemo.deployment.model_deployments
    await deployments.create(name="nim", namespace=namespace, config=deployment_config(at.model))
    try:
        await _until(at, lambda: _served(nemo), lambda models: at.model in models)
        stored: dict[str, Any] = {"name": "stored", "namespace": namespace}
        target = await nemo.evaluation.targets.create(type="model", model=at.model, **stored)
        config = await nemo.evaluation.configs.create(**tool_calling(f"{url}/testing/eval.jsonl"), **stored)
        assert (target.name, config.name) == ("stored", "stored")
        with pytest.raises(ConflictError):
            await nemo.evaluation.targets.create(type="model", model=at.model, **stored)
        await _evaluated(at, nemo, namespace)
        await nemo.evaluation.configs.delete("stored", namespace=namespace)
        await nemo.evaluation.targets.delete("stored", namespace=namespace)
        with pytest.raises(NotFoundError):
            await nemo.evaluation.targets.retrieve("stored", namespace=namespace)
    finally:
        await deployments.delete("nim", namespace=namespace)
        await nemo.datasets.delete("d", namespace=namespace)


async def _evaluated(at: Installation, nemo: AsyncNeMoMicroservices, namespace: str) -> None:
    stored = f"{namespace}/stored"
    jobs = nemo.evaluation.jobs
    job = await jobs.create(namespace=namespace, config=stored, target=stored)
    ended = await _until(at, lambda: jobs.retrieve(job.id), lambda found: found.status in END)
    assert ended.status == "completed", ended.status_details
    listed = [found.id async for found in jobs.list(filter={"target": stored})]
    assert listed == [job.id]
    results = await jobs.results(job.id)
    score = results.tasks["tool_calling"].metrics["tool-calling-accuracy"].scores["function_name_accuracy"]
    assert score.stats.count == 10
    archive = await jobs.download_results(job.id)
    assert (await archive.read())[:2] == b"PK"
    await jobs.delete(job.id)
