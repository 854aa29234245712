import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from include.local_stack.traffic.__main__ import main
from include.nemo_local.engine.production import ProductionAgent


class Endpoint(BaseHTTPRequestHandler):
    """Answers as the production model for `fails_after` requests, then with `fault`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.seen.append((self.path, body["model"]))
        if len(server.seen) > server.fails_after:
            self.reply(*server.fault)
            return
        choice = {"index": 0, "message": ProductionAgent().answer(body), "finish_reason": "stop"}
        self.reply(200, json.dumps({"id": "chatcmpl-1", "choices": [choice]}).encode())

    def reply(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    server.seen, server.fails_after, server.fault = [], 10**9, (500, b"")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/nim"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run(endpoint, out, *more):
    return main(
        ["--chat-url", endpoint.url, "--out", str(out), "--conversations", "5", "--start-ms", "10", *more]
    )


def test_writes_one_file_a_workload_and_says_what_is_in_it(endpoint, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert run(endpoint, out, "--seed", "3") == 0
    assert sorted(path.name for path in out.iterdir()) == ["order_desk.jsonl", "support_agent.jsonl"]
    assert set(endpoint.seen) == {("/nim/v1/chat/completions", "local/shop-agent-large")}
    printed = capsys.readouterr().out
    for path in out.iterdir():
        lines = path.read_bytes().splitlines()
        assert f"{len(lines)} lines of 5 conversations" in printed


def test_same_arguments_same_bytes(endpoint, tmp_path):
    for name in ("a", "b"):
        assert run(endpoint, tmp_path / name, "--workload", "order_desk") == 0
    assert (tmp_path / "a/order_desk.jsonl").read_bytes() == (tmp_path / "b/order_desk.jsonl").read_bytes()
    assert not (tmp_path / "a/support_agent.jsonl").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ((404, b'{"error": "no such model"}'), "answered 404 for model 'local/shop-agent-large'"),
        ((200, b"<html>"), "answered no JSON object: <html>"),
        ((200, b"[1]"), "answered no JSON object: [1]"),
        ((200, b'{"choices": []}'), "no OpenAI chat completion"),
    ],
)
def test_a_failing_endpoint_is_one_error_and_no_file(endpoint, tmp_path, capsys, fault, words):
    endpoint.fails_after, endpoint.fault = 4, fault
    assert run(endpoint, tmp_path) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert words in shown
    assert not list(tmp_path.glob("*.jsonl"))


def test_an_endpoint_that_is_not_there(tmp_path, capsys, endpoint):
    endpoint.shutdown()
    endpoint.server_close()
    assert run(endpoint, tmp_path) == 2
    assert "was not reached" in capsys.readouterr().err


def test_an_unknown_workload(endpoint, tmp_path, capsys):
    assert run(endpoint, tmp_path, "--workload", "nope") == 2
    assert "support_agent, order_desk" in capsys.readouterr().err
    assert endpoint.seen == []
