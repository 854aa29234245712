"""Where the local stack keeps its files and which ports it uses."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from include.local_stack.errors import PortTaken

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """One port on 127.0.0.1 for each service."""

    airflow: int = 8080
    nemo: int = 8700
    application: int = 8701
    mongo: int = 27117
    postgres: int = 55432

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody uses now."""
        sockets = [socket.socket() for _ in range(5)]
        try:
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return cls(*(one.getsockname()[1] for one in sockets))
        finally:
            for one in sockets:
                one.close()

    def check_free(self) -> None:
        """Raises PortTaken that names every port in use and how to choose others."""
        taken = [f"{port} ({name})" for name, port in asdict(self).items() if not _is_free(port)]
        if taken:
            raise PortTaken(
                f"port {', '.join(taken)} on 127.0.0.1 is in use by another program. Stop that program, or "
                "choose another Airflow port with --port N; --free-ports takes whatever is free"
            )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Layout:
    """Folders of one local stack. `state` holds everything that it writes, but for PostgreSQL as root."""

    state: Path

    @property
    def stack_id(self) -> str:
        """Marks every process of this stack, and names its folder below /var/tmp."""
        return hashlib.sha256(str(self.state.resolve()).encode()).hexdigest()[:12]

    @property
    def logs(self) -> Path:
        """Output of the services, one file each."""
        return self.state / "log"

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.state / "airflow"

    @property
    def log_store(self) -> Path:
        """The embedded log store."""
        return self.state / "log_store"

    @property
    def staging(self) -> Path:
        """Intermediate files of runs."""
        return self.state / "staging"

    @property
    def exports(self) -> Path:
        """Exported feedback."""
        return self.state / "exports"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's own folder.

        It refuses root, and must not make a folder of the user's readable to others: as root below /var/tmp.
        """
        if os.geteuid() == 0:
            return Path("/var/tmp") / f"flywheel-{self.stack_id}"  # noqa: S108 - the name is the stack's own
        return self.state / "postgres"

    def create(self) -> None:
        """Make the folders; only the owner may read what is made."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.airflow_home, self.log_store, self.staging, self.exports):
            folder.mkdir(mode=0o700, exist_ok=True)
