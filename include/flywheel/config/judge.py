"""Who judges answers: a NIM of the catalogue that is deployed for it, or a model behind a URL."""

from __future__ import annotations

import os
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from include.flywheel.config.base import StrictModel, validate
from include.flywheel.config.inheritance import merge
from include.flywheel.errors import ConfigError

HOSTS_VARIABLE = "FLYWHEEL_JUDGE_HOSTS"
"""Hosts that answers may be sent to for judging, with commas between."""

_NOBODY = "none"


class JudgeConfig(StrictModel):
    """A judge. What it is asked holds answers of the workload: a remote one's host must be allowed."""

    type: Literal["local", "remote"] = Field(description="Deployed by us, or asked at its URL.")
    model: str = Field(min_length=1, description="Local: a NIM of the catalogue. Remote: its name there.")
    url: str | None = Field(
        default=None,
        description="Remote: what stands before `/chat/completions`; null: the connection's host.",
    )
    conn_id: str | None = Field(
        default=None, description="Remote: an Airflow connection of type http; its password is the key."
    )
    parallelism: int = Field(default=8, ge=1, le=256, description="Requests in flight, for each NIM.")
    max_retries: int = Field(default=3, ge=0, le=20, description="For each item, whatever went wrong.")
    timeout_seconds: float = Field(default=60, gt=0, description="For each request.")
    temperature: float = Field(default=0, ge=0, le=2)

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.type == "local" and (self.url or self.conn_id):
            raise ValueError(
                "a local judge has no `url` and no `conn_id`: leave them out, or say type remote"
            )
        if self.type == "remote" and not (self.url or self.conn_id):
            raise ValueError("a remote judge needs `url`, or `conn_id` of a connection with a host")
        if self.url and urlsplit(self.url).scheme not in {"http", "https"}:
            raise ValueError(f"`url` = {self.url!r}: give an address that begins with https:// or http://")
        if self.url and (urlsplit(self.url).username or urlsplit(self.url).password):
            raise ValueError("`url` holds credentials: put the key into the password of `conn_id`")
        return self


def overridden(of_profile: JudgeConfig | None, changes: dict[str, Any] | None) -> JudgeConfig | None:
    """The profile's judge with the conf's `judge` over it, key by key; `type: none` is no judge.

    Raises ConfigError.
    """
    if changes is None:
        return of_profile
    said = merge({} if of_profile is None else of_profile.model_dump(exclude_unset=True), changes)
    if said.get("type") == _NOBODY:
        return None
    return validate(JudgeConfig, said, "conf.judge")


def allowed_hosts() -> set[str]:
    """The hosts that FLYWHEEL_JUDGE_HOSTS names."""
    return {host.strip().lower() for host in os.environ.get(HOSTS_VARIABLE, "").split(",") if host.strip()}


def check_host(url: str) -> None:
    """Raises ConfigError unless answers may be sent to that URL's host."""
    host = (urlsplit(url).hostname or "").lower()
    allowed = allowed_hosts()
    if host not in allowed:
        raise ConfigError(
            f"`judge.url` leads to {host!r}, which is not among the hosts that may judge "
            f"({', '.join(sorted(allowed)) or 'none is'}): the answers of the workload would be sent there. "
            f"Add it to the environment variable {HOSTS_VARIABLE} of the workers, or choose another judge"
        )
