"""Connections, pools and variables of `airflow_settings.yaml`, Astro's format."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from include.local_stack.errors import StackError
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports

SETTINGS_FILE = PROJECT_ROOT / "airflow_settings.yaml"
# The folder that the file names for development: the project's, where Astro mounts it.
_DEFAULT_STATE = "/usr/local/airflow/.local"


def read(layout: Layout, ports: Ports, path: Path = SETTINGS_FILE) -> dict[str, list[dict[str, Any]]]:
    """`{connections, pools, variables}` with this stack's ports and folders in place of the file's.

    Raises StackError for a file that is not in Astro's format.
    """
    found = yaml.safe_load(_here(path.read_text(encoding="utf-8"), layout, ports))
    if not isinstance(found, dict) or not isinstance(found.get("airflow"), dict):
        raise StackError(
            f"{path.name}: the top level must be `airflow:` with connections, pools and variables"
        )
    airflow = found["airflow"]
    return {kind: airflow.get(kind) or [] for kind in ("connections", "pools", "variables")}


def _here(text: str, layout: Layout, ports: Ports) -> str:
    """The file's text with this stack's ports and folders; one pass, so that no replacement is replaced again."""
    places = {str(port): str(asdict(ports)[name]) for name, port in asdict(Ports()).items()}
    places |= {
        f"{_DEFAULT_STATE}/log_store": str(layout.log_store),
        f"{_DEFAULT_STATE}/staging": str(layout.staging),
    }
    pattern = "|".join(rf"(?<!\d){re.escape(old)}(?!\d)" for old in places)
    return re.sub(pattern, lambda match: places[match.group()], text)


def as_airflow_connection(entry: dict[str, Any]) -> dict[str, Any]:
    """One connection of the file in the JSON form that Airflow reads from `AIRFLOW_CONN_*`."""
    renamed = {
        "conn_type": entry["conn_type"],
        "host": entry.get("conn_host"),
        "port": entry.get("conn_port"),
        "login": entry.get("conn_login"),
        "password": entry.get("conn_password"),
        "schema": entry.get("conn_schema"),
        "extra": entry.get("conn_extra"),
    }
    return {key: value for key, value in renamed.items() if value not in (None, "")}


def as_environment(settings: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """`AIRFLOW_CONN_*` and `AIRFLOW_VAR_*` for programs outside Airflow."""
    environment = {
        f"AIRFLOW_CONN_{entry['conn_id'].upper()}": json.dumps(as_airflow_connection(entry))
        for entry in settings["connections"]
    }
    for entry in settings["variables"]:
        environment[f"AIRFLOW_VAR_{entry['variable_name'].upper()}"] = str(entry["variable_value"])
    return environment
