"""Who calls the API in the tests of roles: people of FAB's own roles, one of each client, and a stranger."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from include.local_stack.layout import PROJECT_ROOT

from .airflow_server import ApiServer

ON_DEMAND = "flywheel_on_demand"
# The workload of `initech` has no DAG of its own: the id is the one that it would have.
DAGS = {"globex": "flywheel__globex__desk", "initech": "flywheel__initech__chat"}
# FAB's own roles, by who has them.
FAB_ROLES = {"viewer": "Viewer", "user": "User", "operator": "Op", "admin": "Admin"}

Grants = list[tuple[str, str]]


def of_workload(dag_id: str) -> Grants:
    """Reads the runs of one workload, starts, cancels, retries and deletes them; sees Airflow's pages.

    "DAG Run:" names the runs of one DAG. What is done to tasks (a retry) has no such name: there "DAG Runs"
    and "Task Instances" are granted for all DAGs, and Airflow asks for the DAG itself besides.
    """
    dag = [(f"can_{action}", f"DAG:{dag_id}") for action in ("read", "edit", "delete")]
    runs = [(f"can_{action}", f"DAG Run:{dag_id}") for action in ("read", "create", "edit", "delete")]
    tasks = [
        (f"can_{action}", kind) for action in ("read", "edit") for kind in ("DAG Runs", "Task Instances")
    ]
    return [*dag, *runs, *tasks, ("can_read", "Website"), ("can_read", "Plugins")]


def of_on_demand() -> Grants:
    """Starts and ends runs of the on-demand DAG, and cannot read it: it holds the runs of all clients."""
    actions = ("create", "edit", "delete")
    return [("can_edit", f"DAG:{ON_DEMAND}"), *((f"can_{one}", f"DAG Run:{ON_DEMAND}") for one in actions)]


FAB_GRANTS: dict[str, Grants] = {
    "globex": of_workload(DAGS["globex"]),
    "initech": of_workload(DAGS["initech"]) + of_on_demand(),
    # Logged in, and nothing more.
    "stranger": [("can_read", "Website")],
}


def with_fab_people(server: ApiServer) -> ApiServer:
    """The same server, whose database has the people of FAB_ROLES and FAB_GRANTS now."""
    roles = FAB_ROLES | {name: name for name in FAB_GRANTS}
    passwords = {name: secrets.token_urlsafe(12) for name in roles}
    people = {name: {"role": role, "password": passwords[name]} for name, role in roles.items()}
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fab.py"))],
        input=json.dumps({"roles": FAB_GRANTS, "people": people}),
        env=dict(server.environment),
        cwd=PROJECT_ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return replace(server, passwords=passwords)
