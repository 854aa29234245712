"""rsyslog as a private process, and the Elasticsearch stand-in as another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPORTERS = ROOT / "include" / "exporters"
MODULE = "rsyslog/omelasticsearch.so"
INSTALL_SECONDS = 60
WAIT_SECONDS = 15.0


def need_rsyslog() -> str:
    """The path of rsyslogd with its Elasticsearch module; installs them where it may, else skips the test.

    It may as root with apt, where no service manager would start rsyslog as the system's logger.
    """
    may_install = os.geteuid() == 0 and shutil.which("apt-get") and not Path("/run/systemd/system").exists()
    if not _installed() and may_install:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        quick = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"]
        packages = ["rsyslog", "rsyslog-elasticsearch"]
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            try:
                subprocess.run(
                    ["apt-get", *quick, *command],
                    env=environment,
                    capture_output=True,
                    timeout=INSTALL_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                break
    if not _installed():
        pytest.skip("needs the Debian packages rsyslog and rsyslog-elasticsearch, which cannot be installed")
    return shutil.which("rsyslogd", path="/usr/sbin:/usr/bin") or "rsyslogd"


def _installed() -> bool:
    modules = [*Path("/usr/lib").glob(MODULE), *Path("/usr/lib").glob(f"*/{MODULE}")]
    return bool(modules) and shutil.which("rsyslogd", path="/usr/sbin:/usr/bin") is not None


def wait_until(what: Callable[[], bool], why: Callable[[], object] = lambda: "") -> None:
    """Fails the test when it does not become true in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {WAIT_SECONDS} s: {why()}")
        time.sleep(0.05)


class Store:
    """The stand-in on one port; what it holds outlives its process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, str(ROOT / "tests/fakes/elasticsearch.py"), "--port", str(port)]
        self._command += ["--journal", str(folder / "journal")]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.url

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer to one request."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())

    def records(self, index: str = "flywheel") -> list[dict[str, Any]]:
        """The documents of an index, without the field that data streams demand."""
        try:
            self.ask("POST", f"/{index}/_refresh")
            found = self.ask("POST", f"/{index}/_search", {"size": 10_000})
        except OSError:
            return []
        sources = [hit["_source"] for hit in found["hits"]["hits"]]
        return [{key: value for key, value in one.items() if key != "@timestamp"} for one in sources]


class Rsyslog:
    """rsyslogd with the project's configuration, in a folder of its own; no service of the system."""

    def __init__(self, program: str, folder: Path, url: str) -> None:
        self._program, self._folder = program, folder
        self.logs, self.state, self.dead = folder / "log", folder / "state", folder / "dead"
        for one in (self.logs, self.state, self.dead):
            one.mkdir()
        self._environment = {
            "FLYWHEEL_LOGS": f"{self.logs}/*.jsonl",
            "FLYWHEEL_STATE": str(self.state),
            "FLYWHEEL_DEAD_LETTERS": str(self.dead),
            "FLYWHEEL_ES_URL": url,
            "FLYWHEEL_ES_INDEX": "flywheel",
            "FLYWHEEL_ES_USER": "shipper",
            "FLYWHEEL_ES_PASSWORD": "secret",
            "FLYWHEEL_ES_CA_FILE": "/etc/ssl/certs/ca-certificates.crt",
        }
        self._configuration = folder / "rsyslog.conf"
        text = (EXPORTERS / "rsyslog.conf").read_text()
        # Only what would make a test wait is shortened.
        for long, short in (('Interval="5"', 'Interval="1"'), ('IntervalMax="60"', 'IntervalMax="1"')):
            assert long in text
            text = text.replace(long, short)
        self._configuration.write_text(text.replace('interval="60"', 'interval="1"'))
        more = {"RSYSLOGD": program, "FLYWHEEL_RSYSLOG_CONF": str(self._configuration)}
        self._environment |= {**more, "PATH": os.environ["PATH"]}
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> str:
        """What rsyslogd says of the configuration; it must find it right."""
        command = [self._program, "-N1", "-f", str(EXPORTERS / "rsyslog.conf")]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=10, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(EXPORTERS / "rsyslog.sh")],
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    def stop(self) -> None:
        self._end("terminate")

    def kill(self) -> None:
        self._end("kill")

    def _end(self, how: str) -> None:
        if self._process is not None:
            getattr(self._process, how)()
            self._process.wait(timeout=WAIT_SECONDS)
            self._process = None

    def write(self, name: str, content: bytes) -> None:
        """Append as an application does."""
        with (self.logs / name).open("ab") as file:
            file.write(content)

    def letters(self, name: str) -> list[str]:
        path = self.dead / name
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def counters(self) -> dict[str, dict[str, Any]]:
        """The newest counters by name."""
        found: dict[str, dict[str, Any]] = {}
        path = self.state / "counters.log"
        for line in path.read_text().splitlines() if path.exists() else []:
            one = json.loads(line[line.index("{") :]) if "{" in line and line.endswith("}") else {}
            found[one.get("name", "")] = one
        return found

    def output(self) -> str:
        return (self._folder / "output").read_text()[-2000:]
