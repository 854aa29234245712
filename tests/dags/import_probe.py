"""Runs a DAG file in a process of its own and says, as JSON, what it made and what it touched.

`python import_probe.py DAG_FILE`. What DAG files use of Airflow is imported beforehand: what is left is the
file's own doing.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import airflow.providers.standard.decorators.python
import airflow.timetables.trigger
import airflow.triggers.base  # noqa: F401
from airflow.sdk import DAG
from airflow.sdk.execution_time import context

WATCHED = ("socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "os.system", "open")
LIBRARIES = tuple(
    {os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))}
)


def main(dag_file: str) -> None:
    root = str(Path(dag_file).resolve().parents[1])
    touched: list[str] = []
    listening = False

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event in WATCHED:
            if event == "open" and _is_allowed(arguments, root):
                return
            touched.append(f"{event} {arguments!r}"[:300])

    def record(name: str, *asked: Any, **_: Any) -> Mock:
        touched.append(f"{name} {asked!r}")
        return Mock()

    for name in ("_get_connection", "_get_variable", "_set_variable"):
        setattr(context, name, partial(record, name))
    sys.addaudithook(listen)
    listening, started = True, time.process_time()
    made = runpy.run_path(dag_file)
    seconds, listening = time.process_time() - started, False
    dags = sorted(one.dag_id for one in made.values() if isinstance(one, DAG))
    json.dump({"dags": dags, "cpu_seconds": seconds, "touched": touched}, sys.stdout)


def _is_allowed(arguments: tuple[Any, ...], root: str) -> bool:
    """The project's Python and YAML files, and the installed libraries."""
    if not isinstance(arguments[0], str | bytes | os.PathLike):
        return True
    path = os.path.realpath(os.fsdecode(arguments[0]))
    if path.startswith(LIBRARIES):
        return True
    return path.startswith(root + os.sep) and (path.endswith((".py", ".yaml")) or ".pyc" in path)


if __name__ == "__main__":
    main(sys.argv[1])
