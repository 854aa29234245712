"""Prepares an installation from deploy/airflow_settings.yaml, with values from the environment.

`prepare_airflow.py database` migrates Airflow's metadata database, loads connections, pools and variables,
and adds the first user. Safe to repeat; it is what every start and every upgrade begins with.

`prepare_airflow.py env-file FILE` writes the connections and variables as AIRFLOW_CONN_* and AIRFLOW_VAR_*
instead, for a secret of Kubernetes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from include.local_stack import settings
from include.local_stack.errors import StackError
from include.local_stack.layout import Layout, Ports

SETTINGS_FILE = Path(__file__).parent / "airflow_settings.yaml"
# Left out where nobody names its address: an installation need not tell anybody.
OPTIONAL = {"application": "APPLICATION_URL"}
# The format's reader puts a local stack's places in; these are the ones that it leaves alone.
_NOWHERE = Layout(Path("/usr/local/airflow/.local"))
_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")

log = logging.getLogger("prepare_airflow")


def read(environment: Mapping[str, str], path: Path = SETTINGS_FILE) -> dict[str, list[dict[str, Any]]]:
    """`{connections, pools, variables}` with every placeholder filled in.

    Raises StackError that names all variables that are needed and not set; never a value.
    """
    found = settings.read(_NOWHERE, Ports(), path)
    found["connections"] = [
        one
        for one in found["connections"]
        if one["conn_id"] not in OPTIONAL or environment.get(OPTIONAL[one["conn_id"]])
    ]
    missing: set[str] = set()
    filled: dict[str, list[dict[str, Any]]] = _fill(found, environment, missing)
    if missing:
        raise StackError(f"{path.name} needs {', '.join(sorted(missing))}: set them, see .env.example")
    return filled


def _fill(value: Any, environment: Mapping[str, str], missing: set[str]) -> Any:
    """After parsing, so that a password may have any characters, whatever they would mean in YAML."""
    if isinstance(value, dict):
        return {key: _fill(one, environment, missing) for key, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, environment, missing) for one in value]
    if not isinstance(value, str):
        return value

    def filled(match: re.Match[str]) -> str:
        name, default = match.groups()
        if not environment.get(name) and default is None:
            missing.add(name)
        return environment.get(name) or default or ""

    return _PLACEHOLDER.sub(filled, value)


def prepare_database(environment: Mapping[str, str]) -> None:
    """Migrate, load the settings, add the first user. Raises StackError before anything is touched."""
    # Airflow reads its configuration when it is imported.
    from include.local_stack import airflow_setup  # noqa: PLC0415

    found = read(environment)
    left_out = OPTIONAL.keys() - {one["conn_id"] for one in found["connections"]}
    connections = [
        {"conn_id": one["conn_id"], "connection": settings.as_airflow_connection(one)}
        for one in found["connections"]
    ]
    # Only this user may read a temporary file; it is gone when the settings are loaded.
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(found | {"connections": connections}, file)
        file.flush()
        airflow_setup.main(file.name)
    log.info("loaded connections %s", ", ".join(one["conn_id"] for one in connections))
    for conn_id in left_out:
        log.warning("there is no connection %r: %s is empty", conn_id, OPTIONAL[conn_id])
        remove_connection(conn_id)
    if environment.get("AIRFLOW__CORE__AUTH_MANAGER", "").endswith("FabAuthManager"):
        add_first_user(
            environment.get("AIRFLOW_ADMIN_USER") or "admin", environment["AIRFLOW_ADMIN_PASSWORD"]
        )


def remove_connection(conn_id: str) -> None:
    """Remove what an earlier start may have loaded."""
    from airflow.models.connection import Connection  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import delete  # noqa: PLC0415

    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == conn_id))


def add_first_user(name: str, password: str) -> None:
    """Add an administrator if nobody has this name; whose password was changed since keeps it.

    Lets viewers and users see the project's pages too: Airflow's roles leave out the right to list plugins.
    """
    # The provider is part of the image only.
    utils = import_module("airflow.providers.fab.auth_manager.cli_commands.utils")
    with utils.get_application_builder() as builder:
        manager = builder.sm
        if manager.find_user(username=name) is None:
            admin = manager.find_role("Admin")
            if not manager.add_user(name, name, "", f"{name}@localhost", admin, password=password):
                raise StackError(f"user {name!r} could not be added; Airflow's log above says why")
            log.info("added user %r", name)
        see_plugins = manager.create_permission("can_read", "Plugins")
        for role in ("Viewer", "User"):
            manager.add_permission_to_role(manager.find_role(role), see_plugins)


def write_env_file(path: Path, environment: Mapping[str, str]) -> None:
    """`NAME=value` a line, readable by its owner only. Raises StackError as `read`."""
    lines = [f"{name}={value}\n" for name, value in settings.as_environment(read(environment)).items()]
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Read the command line and do it."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("database", help="migrate and load")
    commands.add_parser("env-file", help="write AIRFLOW_CONN_*").add_argument("file", type=Path)
    options = parser.parse_args()
    try:
        if options.command == "database":
            prepare_database(os.environ)
        else:
            write_env_file(options.file, os.environ)
    except StackError as error:
        raise SystemExit(f"prepare_airflow: {error}") from None


if __name__ == "__main__":
    main()
