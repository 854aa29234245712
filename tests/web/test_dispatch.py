"""Our paths reach our mount; every other request passes untouched."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from include.web.dispatch import AIRFLOW_KEY, MOUNT, OURS, Dispatch, is_ours


def airflow(root_path: str = "") -> FastAPI:
    """An application like Airflow's: an API of its own, our mount, and a page for everything else."""
    ours = FastAPI()

    @ours.get("/api/jobs")
    @ours.get("/api/jobs/{job_id}")
    def jobs(request: Request, job_id: str = "") -> dict[str, Any]:
        return {"ours": job_id, "query": str(request.query_params), "airflow": AIRFLOW_KEY in request.scope}

    app = FastAPI(root_path=root_path)
    app.add_api_route("/api/v2/version", lambda: {"airflow": "3"})
    app.mount(MOUNT, ours)
    app.add_api_route("/{rest:path}", lambda rest: {"page": rest})
    app.add_middleware(Dispatch)
    return app


def get(path: str, root_path: str = "") -> Any:
    async def ask() -> Any:
        transport = httpx.ASGITransport(app=airflow(root_path))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get(path)).json()

    return anyio.run(ask)


@pytest.mark.parametrize("root", ["", "/behind/a/proxy"])
def test_our_paths_are_ours_and_airflows_are_airflows(root: str) -> None:
    assert get(f"{root}/api/jobs?limit=2", root) == {"ours": "", "query": "limit=2", "airflow": True}
    assert get(f"{root}/api/jobs/0a", root)["ours"] == "0a"
    assert get(f"{root}/flywheel/api/jobs/0a", root)["ours"] == "0a"
    assert get(f"{root}/api/v2/version", root) == {"airflow": "3"}
    assert get(f"{root}/api/jobsite", root) == {"page": "api/jobsite"}
    assert get(f"{root}/dags", root) == {"page": "dags"}


@given(st.text(), st.sampled_from(["", "/api", "/api/v2", "/ui", *OURS]))
def test_a_path_is_ours_if_it_is_one_of_ours_or_below_it(tail: str, head: str) -> None:
    path = head + tail
    assert is_ours(path) == any(path.split("/")[:3] == one.split("/") for one in OURS)


@given(st.text())
def test_no_path_of_airflows_rest_api_is_ours(tail: str) -> None:
    assert not is_ours(f"/api/v2{tail}")
