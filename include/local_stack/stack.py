"""Starts and ends everything: PostgreSQL, MongoDB wire server, NeMo stand-in, application, Airflow."""

from __future__ import annotations

import json
import secrets
import sys
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from include.local_stack import airflow_config, postgres, settings
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.leftovers import Sessions, kill_marked
from include.local_stack.lock import StackLock
from include.local_stack.process import Service

_READY_SECONDS = 60.0
_AIRFLOW_READY_SECONDS = 180.0


class Stack:
    """One local stack. `start_services()` and then `start_airflow()`; `stop()` ends what was started.

    `environment` is added to that of Airflow's processes, `nemo_options` to the stand-in's command.
    """

    def __init__(
        self,
        layout: Layout,
        ports: Ports,
        environment: Mapping[str, str] | None = None,
        nemo_options: Sequence[str] = (),
    ) -> None:
        self.layout = layout
        self.ports = ports
        self.settings: dict[str, list[dict[str, Any]]] = {}
        self._environment = dict(environment or {})
        self._nemo_options = list(nemo_options)
        self._services: list[Service] = []
        # How each was started, by the name of its log, so that one alone can be started again.
        self._started_as: dict[str, tuple[Service, list[str], dict[str, str]]] = {}
        self._database_uri = ""
        self._lock = StackLock(layout.state / "lock")
        self._sessions = Sessions(layout.state / "sessions", PROJECT_ROOT, layout.postgres)

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def nemo_url(self) -> str:
        """Address of the NeMo stand-in."""
        return f"http://127.0.0.1:{self.ports.nemo}"

    @property
    def airflow_url(self) -> str:
        """Address of the Airflow UI and REST API."""
        return f"http://127.0.0.1:{self.ports.airflow}"

    @property
    def _mongo_pid_file(self) -> Path:
        return self.layout.state / "mongo.pid"

    @property
    def events_file(self) -> Path:
        """What the application received."""
        return self.layout.state / "application_events.jsonl"

    def start_services(self) -> None:
        """Start all but Airflow. Raises StackError."""
        self.layout.create()
        self._lock.acquire()
        self._kill_leftovers()
        self.ports.check_free()
        self.settings = settings.read(self.layout, self.ports)
        env = airflow_config.base_environment(self.layout)
        with ThreadPoolExecutor(max_workers=4) as pool:
            # PostgreSQL's first start copies and initialises; the others wait for nothing.
            starting = [
                pool.submit(start, env)
                for start in (self._postgres, self._mongo, self._nemo, self._application)
            ]
        for one in starting:
            one.result()

    def _postgres(self, env: dict[str, str]) -> None:
        service, self._database_uri = postgres.start(
            self.layout.postgres, self.ports.postgres, log=self.layout.logs / "postgres.log", env=env
        )
        self._started(service)
        self._feedback_database(env)

    def _feedback_database(self, env: dict[str, str]) -> None:
        """The database that the connection names, beside Airflow's, with this program's schema."""
        wanted = self._connection("flywheel_feedback")
        name, role, password = (wanted[f"conn_{key}"] for key in ("schema", "login", "password"))
        postgres.add_database(self._database_uri, name, role, password)
        place = {"HOST": "127.0.0.1", "PORT": str(self.ports.postgres), "DB": name}
        place |= {"USER": role, "PASSWORD": password}
        command = [sys.executable, "-m", "include.cli.feedback", "migrate"]
        env = env | {f"POSTGRES_{key}": value for key, value in place.items()}
        self._wait_for_end(self._start("feedback's migrations", "feedback_migrate", command, env))

    def _mongo(self, env: dict[str, str]) -> None:
        # Its own file of the process id: the default is one for all servers of the machine, and a file that
        # outlived its server keeps the next from starting.
        pid_file = self._mongo_pid_file
        pid_file.unlink(missing_ok=True)
        command = [str(Path(sys.executable).parent / "nx-27017"), "-p", str(self.ports.mongo)]
        command += ["--data-dir", str(self.layout.state / "mongo"), "--pid-file", str(pid_file)]
        service = self._start("MongoDB-wire server", "mongo", command, env)
        service.wait_ready(lambda: _mongo_answers(self.ports.mongo), _READY_SECONDS)

    def _nemo(self, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "include.nemo_local", "--port", str(self.ports.nemo)]
        command += ["--data-dir", str(self.layout.state / "nemo_local"), *self._nemo_options]
        # Its matrices are small: more threads than one only fight over the cores.
        env = env | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        service = self._start("NeMo stand-in", "nemo_local", command, env)
        service.wait_ready(lambda: _answers(f"{self.nemo_url}/health"), _READY_SECONDS)

    def _application(self, env: dict[str, str]) -> None:
        secret = self._connection("application")["conn_password"]
        command = [sys.executable, "-m", "include.local_stack.application"]
        command += ["--port", str(self.ports.application), "--file", str(self.events_file)]
        service = self._start("application", "application", command, env | {"APPLICATION_SECRET": secret})
        service.wait_ready(
            lambda: _answers(f"http://127.0.0.1:{self.ports.application}/flywheel-events"), _READY_SECONDS
        )

    def start_airflow(self) -> None:
        """Bring the metadata database up to date and start Airflow's four components. Raises StackError."""
        env = self._airflow_environment()
        self._write_passwords()
        prepared = self.layout.state / "airflow_settings.json"
        prepared.touch(mode=0o600)
        content = self.settings | {
            "connections": [
                {"conn_id": one["conn_id"], "connection": settings.as_airflow_connection(one)}
                for one in self.settings["connections"]
            ]
        }
        prepared.write_text(json.dumps(content), encoding="utf-8")
        setup = self._start(
            "Airflow database setup",
            "airflow_setup",
            [sys.executable, "-m", "include.local_stack.airflow_setup", str(prepared)],
            env,
        )
        self._wait_for_end(setup)
        airflow = str(Path(sys.executable).parent / "airflow")
        components = {
            name: self._start(f"Airflow {name}", f"airflow_{name}", [airflow, name], env)
            for name in ("api-server", "scheduler", "dag-processor", "triggerer")
        }
        components["api-server"].wait_ready(self._airflow_is_healthy, _AIRFLOW_READY_SECONDS)

    def start_beside(
        self, log: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> Service:
        """Start what the stack does not bring, such as a queue and its workers; it ends with the stack.

        After `start_services`; gets the environment of Airflow's processes, and `environment`.
        Raises ToolMissing.
        """
        return self._start(log, log, command, self._airflow_environment() | dict(environment or {}))

    def _airflow_environment(self) -> dict[str, str]:
        env = airflow_config.environment(self.layout, self.ports, self._database_uri, self._secrets())
        exports = {"FLYWHEEL_EXPORT_ROOT": str(self.layout.exports)}
        return env | exports | self._environment

    def _connection(self, conn_id: str) -> dict[str, Any]:
        """The entry of the settings."""
        return next(one for one in self.settings["connections"] if one["conn_id"] == conn_id)

    def _wait_for_end(self, service: Service) -> None:
        if service.wait_end(_AIRFLOW_READY_SECONDS) != 0:
            service.check()
        self._services.remove(service)

    def _airflow_is_healthy(self) -> bool:
        for service in self._services:
            service.check()
        health = _get_json(f"{self.airflow_url}/api/v2/monitor/health")
        return health is not None and all(
            (health.get(part) or {}).get("status") == "healthy"
            for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def check(self) -> None:
        """Raises ServiceDied when a service has ended."""
        for service in self._services:
            service.check()

    def stop(self) -> None:
        """End every process, the youngest first; PostgreSQL last, so that nobody loses its database."""
        for service in reversed(self._services):
            service.ask_to_stop()
        while self._services:
            self._services.pop().stop()
        if self._lock.is_held:
            # Never without the lock: these would be another stack's.
            self._kill_leftovers()
            self._lock.release()

    def pid_of(self, log: str) -> int:
        """Process id of a service, by the name of its log: `mongo`, `nemo_local`, `airflow_scheduler`, …"""
        return self._started_as[log][0].pid

    def start_again(self, log: str) -> None:
        """Start a service once more that has ended, as it was started before."""
        ended, command, env = self._started_as[log]
        self._services.remove(ended)
        if log == "mongo":
            self._mongo_pid_file.unlink(missing_ok=True)
        self._start(ended.name, log, command, env)

    def _kill_leftovers(self) -> None:
        """What a stack in this folder left behind when it was killed, or what escaped from its group."""
        self._sessions.kill()
        kill_marked(self.layout.stack_id)

    def _start(self, name: str, log: str, command: list[str], env: dict[str, str]) -> Service:
        service = Service(name, command, log=self.layout.logs / f"{log}.log", env=env, cwd=PROJECT_ROOT)
        self._started(service)
        self._started_as[log] = (service, command, env)
        return service

    def _started(self, service: Service) -> None:
        self._sessions.add(service.pid)
        self._services.append(service)

    def _secrets(self) -> dict[str, str]:
        """Random keys of this stack, made once."""
        file = self.layout.state / "secrets.json"
        if not file.exists():
            file.touch(mode=0o600)
            made = {
                "jwt": secrets.token_urlsafe(48),
                "api": secrets.token_urlsafe(32),
                "fernet": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
            file.write_text(json.dumps(made), encoding="utf-8")
        kept: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return kept

    def _write_passwords(self) -> None:
        """A random password for each local user, made once."""
        file = self.layout.airflow_home / airflow_config.PASSWORDS_FILE
        if not file.exists():
            file.touch(mode=0o600)
            made = {user: secrets.token_urlsafe(9) for user in airflow_config.USERS}
            file.write_text(json.dumps(made), encoding="utf-8")


def _get_json(url: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        return None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return True
    except OSError:
        return False


def _mongo_answers(port: int) -> bool:
    client: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=500)
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True
