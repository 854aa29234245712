"""deploy/prepare_elasticsearch.py against a server that notes what it is sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest

PASSWORDS = {
    "ELASTIC_PASSWORD": "super-secret",
    "ELASTICSEARCH_FLYWHEEL_PASSWORD": "flywheel-secret",
    "KIBANA_SYSTEM_PASSWORD": "kibana-secret",
}


class Server(ThreadingHTTPServer):
    """Answers as Elasticsearch does, once its password is right; `refuses` names a path that it refuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: dict[str, Any] = {}
        self.refuses = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        if login != "elastic:super-secret":
            self._answer(401, {"error": {"type": "security_exception", "reason": "wrong"}, "status": 401})
        elif self.path == self.server.refuses:
            self._answer(403, {"error": {"type": "security_exception", "reason": "no"}, "status": 403})
        else:
            self.server.seen[self.path] = body
            self._answer(200, {"acknowledged": True, "created": True})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def prepare(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("prepare_elasticsearch")


def test_user_role_template_and_kibana(prepare: ModuleType, server: Server) -> None:
    for _ in range(2):
        prepare.main({"ELASTICSEARCH_URL": server.url} | PASSWORDS)
    role, user = server.seen["/_security/role/flywheel"], server.seen["/_security/user/flywheel"]
    assert user == {"password": "flywheel-secret", "roles": ["flywheel"]}
    [indices] = role["indices"]
    assert indices["names"] == ["flywheel", "flywheel-*"]
    # What the documentation of the log store asks for, and no right to delete.
    assert {"read", "view_index_metadata", "create_doc", "create_index"} <= set(indices["privileges"])
    assert not {"all", "delete", "delete_index", "manage"} & set(indices["privileges"])
    assert server.seen["/_security/user/kibana_system/_password"] == {"password": "kibana-secret"}
    assert server.seen["/_index_template/flywheel"]["index_patterns"] == ["flywheel"]


def test_the_index_may_have_another_name(prepare: ModuleType, server: Server) -> None:
    prepare.main({"ELASTICSEARCH_URL": server.url, "ELASTICSEARCH_INDEX": "prod"} | PASSWORDS)
    assert server.seen["/_security/role/flywheel"]["indices"][0]["names"] == ["prod", "prod-*"]
    assert server.seen["/_index_template/flywheel-prod"]["index_patterns"] == ["prod"]


@pytest.mark.parametrize(
    ("wrong", "refuses", "said"),
    [({"ELASTIC_PASSWORD": "guessed"}, "", "401"), ({}, "/_index_template/flywheel", "403")],
)
def test_a_refusal_is_told_without_secrets(
    prepare: ModuleType, server: Server, wrong: dict[str, str], refuses: str, said: str
) -> None:
    server.refuses = refuses
    with pytest.raises(SystemExit) as caught:
        prepare.main({"ELASTICSEARCH_URL": server.url} | PASSWORDS | wrong)
    assert server.url in str(caught.value)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "guessed" not in str(caught.value)
