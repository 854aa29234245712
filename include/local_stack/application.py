"""The application of the local stack: receives the flywheel's notifications, checks and keeps them.

An example of a receiver: it refuses a wrong signature and an old timestamp, and takes an event that it has
already as delivered. `GET /flywheel-events` answers what it received, one JSON object a line:
`{"idempotency_key": "...", "event": {...}}`.
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
from typing import Any

PATH = "/flywheel-events"
MAX_AGE_SECONDS = 300
MAX_BODY_BYTES = 1 << 20
_LONGEST_TIMESTAMP = 12
# Of a refused body so much is read and thrown away: a client that still sends would not see the answer.
_MAX_DISCARDED_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16


def refusal(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> str | None:
    """Why a notification is refused; None when it is genuine and fresh."""
    # isdecimal alone lets other scripts' digits through.
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _LONGEST_TIMESTAMP
    if not is_number or abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        return "Flywheel-Timestamp is missing or more than five minutes off"
    expected = "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return "Flywheel-Signature does not fit the body"
    return None


class Receiver(BaseHTTPRequestHandler):
    """One request."""

    # Of one read, in seconds: a client that stops in the middle does not hold a thread for ever.
    timeout = 30
    secret = ""
    file = Path()
    lock = threading.Lock()

    def do_POST(self) -> None:
        """Take one notification."""
        declared = self.headers.get("Content-Length", "")
        length = int(declared) if declared.isascii() and declared.isdecimal() else 0
        if self.path != PATH:
            self._refuse(404, f"send notifications to {PATH}", length)
        elif not length:
            self._refuse(411, "Content-Length must be the number of bytes in the body", length)
        elif length > MAX_BODY_BYTES:
            self._refuse(413, f"the body has {length} bytes; up to {MAX_BODY_BYTES} are taken", length)
        else:
            self._take(self.rfile.read(length))

    def do_GET(self) -> None:
        """What was received so far."""
        if self.path != PATH:
            self._refuse(404, f"what was received is at {PATH}", 0)
            return
        content = self.file.read_bytes() if self.file.exists() else b""
        self._answer(200, "application/x-ndjson", content)

    def _take(self, body: bytes) -> None:
        headers = self.headers
        stamp, signature = headers.get("Flywheel-Timestamp", ""), headers.get("Flywheel-Signature", "")
        if reason := refusal(self.secret, stamp, signature, body, time.time()):
            self._refuse(401, reason, 0)
            return
        key = headers.get("Idempotency-Key", "")
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        if not key or not isinstance(event, dict):
            self._refuse(400, "an Idempotency-Key and a JSON object are expected", 0)
            return
        with self.lock:
            known = self._keep(key, event)
        self._answer_json(200, {"received": True, "known_already": known})

    def _keep(self, key: str, event: dict[str, Any]) -> bool:
        """Append the event unless its key stands there; returns whether it was known already."""
        if self.file.exists():
            with self.file.open("rb") as lines:
                if any(json.loads(line)["idempotency_key"] == key for line in lines):
                    return True
        with self.file.open("ab") as lines:
            lines.write(json.dumps({"idempotency_key": key, "event": event}).encode() + b"\n")
        return False

    def _refuse(self, status: int, reason: str, unread_bytes: int) -> None:
        left = min(unread_bytes, _MAX_DISCARDED_BYTES)
        while left > 0 and (chunk := self.rfile.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
        self._answer_json(status, {"error": reason})

    def _answer_json(self, status: int, content: dict[str, object]) -> None:
        self._answer(status, "application/json", json.dumps(content).encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
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
