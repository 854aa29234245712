"""Run in Airflow's environment: bring the metadata database up to date, load connections and variables.

`python -m include.local_stack.airflow_setup SETTINGS.json`; one process instead of four Airflow commands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.models.connection import Connection
from airflow.models.pool import Pool
from airflow.models.variable import Variable
from airflow.utils.db import initdb, upgradedb
from airflow.utils.session import create_session
from sqlalchemy import delete, inspect


def main(settings_file: str) -> None:
    """Migrate, then write the settings; safe to repeat."""
    settings: dict[str, list[dict[str, Any]]] = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    with create_session() as session:
        is_new = not inspect(session.get_bind()).has_table("dag")
    (initdb if is_new else upgradedb)()
    with create_session() as session:
        _load(session, settings)


def _load(session: Any, settings: dict[str, list[dict[str, Any]]]) -> None:
    for entry in settings["connections"]:
        session.execute(delete(Connection).where(Connection.conn_id == entry["conn_id"]))
        session.add(Connection(conn_id=entry["conn_id"], **_connection_fields(entry["connection"])))
    for entry in settings["variables"]:
        Variable.set(entry["variable_name"], entry["variable_value"], session=session)
    for entry in settings["pools"]:
        Pool.create_or_update_pool(
            entry["pool_name"],
            slots=entry["pool_slot"],
            description=entry.get("pool_description", ""),
            include_deferred=entry.get("pool_include_deferred", False),
            session=session,
        )


def _connection_fields(connection: dict[str, Any]) -> dict[str, Any]:
    extra = connection.get("extra")
    return connection | ({"extra": json.dumps(extra)} if extra else {})


if __name__ == "__main__":
    main(sys.argv[1])
