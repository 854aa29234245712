"""``python -m include.nemo_local``: serves the stand-in until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import get_args

import uvicorn
from pydantic import ValidationError

from include.nemo_local.app import create_app
from include.nemo_local.engines import EngineMissing, EngineName
from include.nemo_local.errors import FolderInUse
from include.nemo_local.settings import Settings

_GRACE_SECONDS = 1


def main() -> None:
    """Reads the arguments, announces the address and serves."""
    arguments = _parser().parse_args()
    # Uvicorn ends well on a signal and then raises it again, which would make a clean end look like a crash.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    given = vars(arguments)
    host, port = given.pop("host"), given.pop("port")
    try:
        app = create_app(Settings(**given))
    except (ValidationError, FolderInUse, EngineMissing) as error:
        sys.exit(f"nemo_local: {error}")
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    with _listening(host, port) as listener:
        address = f"http://{host}:{listener.getsockname()[1]}"
        sys.stdout.write(
            f"nemo_local ready at {address} (local stand-in for NeMo Microservices, simulated latencies)\n"
        )
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """The socket is open before the address is announced; who connects early waits for the server."""
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        sys.exit(f"nemo_local: cannot listen on {host}:{port} ({error.strerror}): free it or give --port")
    return listener


def _parser() -> argparse.ArgumentParser:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    parser = argparse.ArgumentParser(prog="python -m include.nemo_local", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700, help="0 takes a free one")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of all state")
    parser.add_argument(
        "--engine",
        choices=get_args(EngineName),
        default=defaults["engine"],
        help="kind of the models; neural needs the extra of that name",
    )
    parser.add_argument("--gpus", type=int, default=defaults["gpus"])
    for name in ("deploy", "evaluation", "training", "adapter_listing"):
        option = f"--{name.replace('_', '-')}-seconds"
        parser.add_argument(option, type=float, default=defaults[f"{name}_seconds"], help="simulated minimum")
    parser.add_argument(
        "--seed", type=int, default=defaults["seed"], help="training seed of jobs that name none"
    )
    return parser


if __name__ == "__main__":
    main()
