"""A real `airflow api-server` with our DAGs and our plugin, and nothing that would run what is started."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from include.local_stack import airflow_config
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.process import Service

Auth = Literal["simple", "fab"]
ROLES = {"viewer": "viewer", "user": "user", "operator": "op", "admin": "admin"}
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
_READY_SECONDS = 60.0
_SETUP = [sys.executable, str(Path(__file__).with_name("airflow_prepare.py"))]


@dataclass
class ApiServer:
    """The server: its address, and the tokens of its users, who are called like their roles."""

    url: str
    passwords: Mapping[str, str]
    environment: Mapping[str, str]
    _tokens: dict[str, str] = field(default_factory=dict)

    def token(self, user: str) -> str:
        """The user's bearer token."""
        if user not in self._tokens:
            body = {"username": user, "password": self.passwords[user]}
            answer = httpx.post(f"{self.url}/auth/token", json=body, timeout=30)
            assert answer.status_code == 201, answer.text
            self._tokens[user] = answer.json()["access_token"]
        return self._tokens[user]

    def client(self, user: str | None = "admin") -> httpx.Client:
        """A client that is logged in as the user; None: as nobody."""
        headers = {} if user is None else {"Authorization": f"Bearer {self.token(user)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


def environment(
    folder: Path, port: int, *, auth: Auth, extra: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Environment of the server, and the passwords of its users."""
    layout = Layout(folder)
    layout.create()
    keys = {
        "jwt": secrets.token_urlsafe(48),
        "api": secrets.token_urlsafe(32),
        "fernet": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    ports = Ports(airflow=port)
    database = f"sqlite:///{layout.airflow_home / 'airflow.db'}"
    own = airflow_config.environment(layout, ports, database, keys) | {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "FLYWHEEL_EXPORT_ROOT": str(layout.exports),
        # What is started stays queued: there is no scheduler. Nobody need unpause a DAG for that.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{u}:{role}" for u, role in ROLES.items()),
    }
    own |= {"AIRFLOW__CORE__AUTH_MANAGER": FAB} if auth == "fab" else {}
    passwords = {user: f"{user}-{secrets.token_urlsafe(9)}" for user in ROLES}
    (layout.airflow_home / airflow_config.PASSWORDS_FILE).write_text(json.dumps(passwords))
    return own | dict(extra), passwords


def start(folder: Path, port: int, env: dict[str, str], connections: Mapping[str, Any]) -> Service:
    """Make the database, with connections and DAGs, and start the server; it answers when this returns."""
    settings = folder / "settings.json"
    entries = [{"conn_id": conn_id, "connection": one} for conn_id, one in connections.items()]
    settings.write_text(json.dumps({"connections": entries, "pools": [], "variables": []}))
    prepare = [*_SETUP, str(settings)]
    done = subprocess.run(
        prepare, env=env, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    airflow = str(Path(sys.executable).parent / "airflow")
    service = Service(
        "Airflow api-server",
        [airflow, "api-server"],
        log=folder / "log" / "api-server.log",
        env=env,
        cwd=PROJECT_ROOT,
    )

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        service.wait_ready(answers, _READY_SECONDS)
    except Exception:
        service.stop()
        raise
    return service
