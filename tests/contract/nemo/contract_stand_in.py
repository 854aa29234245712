"""The stand-in as a process of its own: started, killed and started again on one port and one folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FAST = ("--deploy-seconds", "0.2", "--training-seconds", "0.2", "--evaluation-seconds", "0.2")


class StandIn:
    """`url` is known once it was started; a context manager that ends it."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        command = [sys.executable, "-m", "include.nemo_local", "--data-dir", str(folder / "data")]
        self._command = [*command, "--port", str(port), *FAST, *arguments]
        self._log = folder / "log"
        self._process: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> StandIn:
        """Returns once it answers. Raises AssertionError with its log where it does not come up."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert re.search(re.escape(self.url), line), self._log.read_text()[-2000:]
        return self

    def kill(self) -> None:
        """SIGKILL: no chance to put anything in order."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def memory_bytes(self) -> int:
        """What it has held of memory at most (VmHWM)."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
