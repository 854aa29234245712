"""`python -m include.web.feedback`: serve the feedback API with uvicorn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import uvicorn

from include.web.feedback.app import create_app
from include.web.feedback.keys import Rate, is_loopback

# Requests at work at once; beyond, an answer of 503 at once is better than one too late.
_AT_ONCE = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the process is told to stop. 2: it cannot be served like that."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.no_auth and not is_loopback(options.host):
        parser.error(
            f"--no-auth serves anybody, so --host must be 127.0.0.1 or ::1, not {options.host!r}: make a key "
            "instead, python -m include.cli.feedback keys add NAME"
        )
    if options.rate_per_second <= 0 or options.burst < 1:
        parser.error("--rate-per-second must be above 0 and --burst at least 1")
    rate = Rate(options.rate_per_second, options.burst)
    app = create_app(rate=rate, needs_key=not options.no_auth)
    # A proxy's word on where a request comes from is not taken: --no-auth looks at the real address.
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=10,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.web.feedback", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8702, help="port to listen at (8702)")
    parser.add_argument("--no-auth", action="store_true", help="ask nobody for a key; on this machine only")
    usual = Rate()
    parser.add_argument(
        "--rate-per-second", type=float, default=usual.per_second, help="of each key (%(default)s)"
    )
    parser.add_argument(
        "--burst", type=float, default=usual.burst, help="requests at once after a pause (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
