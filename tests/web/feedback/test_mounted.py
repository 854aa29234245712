"""Inside Airflow: its tokens, and its permissions on the DAG of the export."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from airflow import settings as airflow_settings
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.revoked_token import RevokedToken
from fastapi import FastAPI

from include.stores.feedback import FeedbackPlace
from include.web import errors
from include.web.dispatch import is_ours
from include.web.feedback.mounted import feedback_routers

from .conftest import serve
from .test_api import GOOD

AsRole = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def as_role() -> AsRole:
    """A token of Airflow's own for somebody of that role."""
    # The one table that a token is looked up in.
    RevokedToken.__table__.create(airflow_settings.get_engine(), checkfirst=True)
    manager = create_auth_manager()
    manager.init()

    def make(role: str) -> dict[str, str]:
        token = manager.generate_jwt(SimpleAuthManagerUser(username=f"the {role}", role=role))
        return {"Authorization": f"Bearer {token}"}

    return make


@pytest.fixture(scope="module")
def mounted(place: FeedbackPlace, free_port: Callable[[], int], as_role: AsRole) -> Iterator[httpx.Client]:
    app = FastAPI()
    errors.add_handlers(app)
    for router in feedback_routers():
        app.include_router(router)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTGRES_HOST", place.host)
        patch.setenv("POSTGRES_PORT", str(place.port))
        patch.setenv("POSTGRES_DB", place.database)
        patch.setenv("POSTGRES_USER", place.user)
        patch.setenv("POSTGRES_PASSWORD", place.password)
        with serve(app, free_port()) as client:
            yield client


def test_who_has_no_token_is_asked_for_one(mounted: httpx.Client) -> None:
    for method, path in (("POST", ""), ("GET", "/stats"), ("DELETE", "?user_id=u")):
        assert mounted.request(method, f"/v1/feedback{path}", json=GOOD).status_code == 401
    assert mounted.get("/v1/health").json()["status"] == "healthy"


def test_what_may_be_done_is_what_may_be_done_to_the_dag(mounted: httpx.Client, as_role: AsRole) -> None:
    viewer, user, op = as_role("viewer"), as_role("user"), as_role("op")
    assert mounted.post("/v1/feedback", json=GOOD, headers=viewer).status_code == 403
    made = mounted.post("/v1/feedback", json=GOOD | {"user_id": "ann"}, headers=user)
    assert made.status_code == 200, made.text
    url = f"/v1/feedback/{made.json()['feedback_id']}"
    for role in (viewer, user, op):
        assert mounted.get(url, headers=role).status_code == 200
        assert mounted.get("/v1/feedback/accuracy", headers=role).status_code == 200
    for answer in (
        mounted.delete(url, headers=viewer),
        mounted.put(url, json={"rating": -1}, headers=viewer),
        mounted.delete("/v1/feedback?user_id=ann", headers=viewer),
        mounted.post("/v1/feedback/export/finetuning", json={}, headers=viewer),
    ):
        assert answer.status_code == 403
        assert "'feedback_export'" in answer.json()["detail"]
    assert mounted.delete("/v1/feedback?user_id=ann", headers=user).json()["deleted"] == 1


def test_every_path_is_led_here() -> None:
    for router in feedback_routers():
        assert all(is_ours(route.path) for route in router.routes)
