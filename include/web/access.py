"""Who calls, and what Airflow lets them do. Nothing else of ours touches Airflow's authorization.

A caller shows a bearer token (`POST /auth/token`) or, in a browser, Airflow's cookie. What may be done to a
workload is what may be done to the runs of its DAG: of the id that the DAG would have, where there is none.
Works with any auth manager.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from jwt import InvalidTokenError

Method = Literal["GET", "POST", "PUT", "DELETE"]
SCRAPE_SECRET_VARIABLE = "FLYWHEEL_METRICS_TOKEN"  # noqa: S105 - its name, not its value
_READING = {"GET", "HEAD", "OPTIONS"}
_DOING: dict[Method, str] = {"GET": "see", "POST": "start", "PUT": "change", "DELETE": "delete"}

_bearer = HTTPBearer(
    scheme_name="token",
    description="An access token of Airflow: `POST /auth/token` with `username` and `password`.",
    auto_error=False,
)
_cookie = APIKeyCookie(
    name=COOKIE_NAME_JWT_TOKEN,
    scheme_name="cookie",
    description="Airflow's session in a browser. Writes must come from a page of the same origin, as JSON.",
    auto_error=False,
)


@dataclass(frozen=True)
class Caller:
    """Somebody whom Airflow knows. `token`: what they showed, to act in their name; stays out of `repr`."""

    id: str
    name: str
    user: BaseUser = field(repr=False)
    token: str = field(repr=False)


async def _find_caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Caller | None:
    """The caller; None where nothing was shown. 401 for a token that is not valid, 403 by the rule below."""
    if bearer is not None:
        return await _identify(bearer.credentials)
    if cookie is None:
        return None
    caller = await _identify(cookie)
    if request.method not in _READING:
        _refuse_forged(request)
    return caller


async def _current_caller(caller: Annotated[Caller | None, Depends(_find_caller)]) -> Caller:
    """The caller. 401 where there is none."""
    if caller is None:
        raise _unknown("log in: send `Authorization: Bearer TOKEN`, a token of POST /auth/token")
    return caller


MaybeCaller = Annotated[Caller | None, Depends(_find_caller)]
"""The caller, or None: for what anybody may ask."""
CurrentCaller = Annotated[Caller, Depends(_current_caller)]
"""The caller; 401 without one."""


def _current_operator(caller: CurrentCaller) -> Caller:
    """The caller, if they may administer the installation. 403 else."""
    if not is_operator(caller):
        raise HTTPException(
            403,
            f"{caller.name} may not administer this installation: it takes what Airflow asks for to add a "
            "pool (role Op or Admin)",
        )
    return caller


CurrentOperator = Annotated[Caller, Depends(_current_operator)]
"""A caller who may administer; 401 without a caller, 403 without that right."""


async def _metrics_reader(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Caller | None:
    """An operator; None for who shows the scrape token, which stands for the installation."""
    expected = os.environ.get(SCRAPE_SECRET_VARIABLE)
    if expected and bearer and hmac.compare_digest(bearer.credentials.encode(), expected.encode()):
        return None
    caller = await _find_caller(request, bearer, cookie)
    return _current_operator(await _current_caller(caller))


MetricsReader = Annotated[Caller | None, Depends(_metrics_reader)]
"""An operator, or None for the scrape token: Prometheus cannot log in again each day."""


async def _identify(token: str) -> Caller:
    try:
        user = await get_auth_manager().get_user_from_token(token)
    except InvalidTokenError as error:
        raise _unknown(f"the token is not valid ({error}): log in again with POST /auth/token") from None
    return Caller(id=str(user.get_id()), name=user.get_name(), user=user, token=token)


def _unknown(why: str) -> HTTPException:
    return HTTPException(401, why, headers={"WWW-Authenticate": "Bearer"})


def _refuse_forged(request: Request) -> None:
    """A browser sends its cookie whoever made the page: a write must come from a page of ours, as JSON."""
    origin = urlsplit(request.headers.get("origin", "")).netloc
    same = origin != "" and origin == request.headers.get("host")
    if not same and request.headers.get("sec-fetch-site") != "same-origin":
        raise HTTPException(
            403,
            "with a cookie, a write must come from a page of this server (Origin or Sec-Fetch-Site says "
            "otherwise); programs send `Authorization: Bearer TOKEN`",
        )
    has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and kind != "application/json":
        raise HTTPException(403, f"with a cookie, a body must be `application/json`, not {kind!r}")


def may(caller: Caller, method: Method, dag_id: str) -> bool:
    """Whether the caller may do that to runs of this DAG, which need not exist. PUT: cancel and retry."""
    team = DagModel.get_team_name(dag_id) if conf.getboolean("core", "multi_team") else None
    return get_auth_manager().is_authorized_dag(
        method=method,
        access_entity=DagAccessEntity.RUN,
        details=DagDetails(id=dag_id, team_name=team),
        user=caller.user,
    )


def require(caller: Caller, method: Method, dag_id: str) -> None:
    """403 with the reason where the caller may not."""
    if not may(caller, method, dag_id):
        raise HTTPException(
            403,
            f"{caller.name} may not {_DOING[method]} runs of {dag_id!r}: ask for that permission on the DAG",
        )


def permitted(caller: Caller, dag_ids: Iterable[str]) -> set[str]:
    """Those of the DAGs, which need not exist, whose runs the caller may see."""
    return {dag_id for dag_id in set(dag_ids) if may(caller, "GET", dag_id)}


def is_operator(caller: Caller) -> bool:
    """Whether the caller may administer: the one right that auth managers give to operators alone."""
    return get_auth_manager().is_authorized_pool(method="POST", user=caller.user)
