"""The application of the local stack: receives the flywheel's notifications, checks and keeps them.

An example of a receiver: it refuses a wrong signature and an old timestamp, and takes an event that it has
already as delivered. `GET /flywheel-events` answers what it received, one JSON object a line.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATH = "/flywheel-events"
MAX_AGE_SECONDS = 300
MAX_BODY_BYTES = 1 << 20


def refusal(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> str | None:
    """Why a notification is refused; None when it is genuine and fresh."""
    if not timestamp.isdigit() or abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        return "Flywheel-Timestamp is missing or older than five minutes"
    expected = "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        return "Flywheel-Signature does not fit the body"
    return None


class Receiver(BaseHTTPRequestHandler):
    """One request."""

    secret = ""
    file = Path()
    lock = threading.Lock()

    def do_POST(self) -> None:
        """Take one notification."""
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != PATH or not 0 < length <= MAX_BODY_BYTES:
            self._answer(404 if self.path != PATH else 413, {"error": f"send up to 1 MiB of JSON to {PATH}"})
            return
        body = self.rfile.read(length)
        headers = self.headers
        reason = refusal(
            self.secret,
            headers.get("Flywheel-Timestamp", ""),
            headers.get("Flywheel-Signature", ""),
            body,
            time.time(),
        )
        if reason:
            self._answer(401, {"error": reason})
            return
        with self.lock:
            known = self._keep(headers.get("Idempotency-Key", ""), body)
        self._answer(200, {"received": True, "known_already": known})

    def do_GET(self) -> None:
        """What was received so far."""
        content = self.file.read_bytes() if self.file.exists() else b""
        self.send_response(200 if self.path == PATH else 404)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _keep(self, key: str, body: bytes) -> bool:
        """Append the event unless its key stands there; returns whether it did."""
        if self.file.exists():
            with self.file.open("rb") as lines:
                if any(json.loads(line)["idempotency_key"] == key for line in lines):
                    return True
        with self.file.open("ab") as lines:
            lines.write(json.dumps({"idempotency_key": key, "event": json.loads(body)}).encode() + b"\n")
        return False

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until ended. The secret comes from APPLICATION_SECRET."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="where received events are kept, JSON lines")
    arguments = parser.parse_args()
    Receiver.secret = os.environ["APPLICATION_SECRET"]
    Receiver.file = arguments.file
    ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver).serve_forever()


if __name__ == "__main__":
    main()
