"""A judge behind HTTP that answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any, dict[str, str]]
"""Status, body (text is a chat's content), headers."""


class FakeJudge:
    """Answers with `answer(request, number of the request)`; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answer: Callable[[dict[str, Any], int], Answer] = lambda *_: (200, "Rating: 7", {})
        self._lock, self._now = threading.Lock(), 0
        self.most_at_once = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    fake.asked.append(sent)
                    fake.keys.append(self.headers.get("Authorization"))
                    number = len(fake.asked)
                    fake._now += 1
                    fake.most_at_once = max(fake.most_at_once, fake._now)
                status, body, headers = fake.answer(sent, number)
                if isinstance(body, str):
                    body = {"choices": [{"message": {"role": "assistant", "content": body}}]}
                raw = json.dumps(body).encode()
                with fake._lock:
                    fake._now -= 1
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                # Who asked may have hung up.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def close(self) -> None:
        """Nobody answers any more; safe to repeat."""
        self.server.shutdown()
        self.server.server_close()
