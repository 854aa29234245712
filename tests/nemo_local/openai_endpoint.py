"""An OpenAI-compatible server for tests: what it answers is the test's own function of the request."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answering(answer):
    """Serves `answer(path, body, headers)`, which gives status and body (bytes or what becomes JSON).

    Gives the base URL, `http://…/v1`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = answer(self.path, body, self.headers)
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def chat(text):
    """The body of a chat completion with that text."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


def completion(text):
    """The body of a completion with that text."""
    return {"choices": [{"index": 0, "text": text}]}
