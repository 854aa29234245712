"""Connections as a person writes them into the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`connection("flywheel_logs", conn_type="fs", extra={...})` sets AIRFLOW_CONN_FLYWHEEL_LOGS."""

    def configure(conn_id: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return configure
