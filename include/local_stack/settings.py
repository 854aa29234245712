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
# What an entry of each kind cannot do without.
_REQUIRED = {
    "connections": ("conn_id", "conn_type"),
    "pools": ("pool_name", "pool_slot"),
    "variables": ("variable_name", "variable_value"),
}


def read(layout: Layout, ports: Ports, path: Path = SETTINGS_FILE) -> dict[str, list[dict[str, Any]]]:
    """`{connections, pools, variables}` with this stack's ports and folders in place of the file's.

    Raises StackError for a file that is not in Astro's format.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StackError(f"{path.name} is not valid YAML: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("airflow"), dict):
        raise StackError(
            f"{path.name}: the top level must be `airflow:` with connections, pools and variables"
        )
    settings = {kind: found["airflow"].get(kind) or [] for kind in _REQUIRED}
    for kind, keys in _REQUIRED.items():
        for entry in settings[kind]:
            if missing := [key for key in keys if entry.get(key) in {None, ""}]:
                raise StackError(f"{path.name}: {kind}: {entry} lacks `{'`, `'.join(missing)}`: add it")
    here: dict[str, list[dict[str, Any]]] = _here(settings, _places(layout, ports))
    return here


def _places(layout: Layout, ports: Ports) -> dict[str, str]:
    """This stack's ports and folders by those that the file names."""
    return {str(port): str(asdict(ports)[name]) for name, port in asdict(Ports()).items()} | {
        f"{_DEFAULT_STATE}/log_store": str(layout.log_store),
        f"{_DEFAULT_STATE}/staging": str(layout.staging),
    }


def _here(value: Any, places: dict[str, str]) -> Any:
    """`value` with every place replaced, each text in one pass: no replacement is replaced again.

    Replaced after parsing, so that a folder may have any name, whatever it would mean in YAML.
    """
    if isinstance(value, dict):
        return {key: _here(one, places) for key, one in value.items()}
    if isinstance(value, list):
        return [_here(one, places) for one in value]
    if isinstance(value, str):
        pattern = "|".join(rf"(?<!\d){re.escape(old)}(?!\d)" for old in places)
        return re.sub(pattern, lambda match: places[match.group()], value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(places.get(str(value), value))
    return value


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
