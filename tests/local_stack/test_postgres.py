"""The embedded PostgreSQL: started, kept and started again, as root and not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from include.local_stack import postgres
from include.local_stack.errors import ServiceDied


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the account that runs it can reach it: as root, pytest's own folders are closed to it.

    Its path is longer than that of a Unix socket may be.
    """
    above = "/var/tmp" if os.geteuid() == 0 else tmp_path
    place = Path(tempfile.mkdtemp(prefix="flywheel-tests-" + "long-" * 20, dir=above))
    yield place
    shutil.rmtree(place, ignore_errors=True)


def ask(uri: str, *statements: str) -> object:
    engine = create_engine(uri)
    try:
        with engine.begin() as connection:
            return [connection.execute(text(statement)) for statement in statements][-1].scalar()
    finally:
        engine.dispose()


def test_it_keeps_its_data_from_start_to_start(
    folder: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    log = tmp_path / "postgres.log"
    for start in range(2):
        service, uri = postgres.start(folder, free_port(), log=log, env=os.environ)
        try:
            rows = ask(
                uri,
                "CREATE TABLE IF NOT EXISTS starts (n int)",
                f"INSERT INTO starts VALUES ({start})",
                "SELECT count(*) FROM starts",
            )
            assert rows == start + 1
            assert ask(uri, "SHOW data_directory") == str(folder / "data")
            assert ask(uri, "SHOW server_encoding") == "UTF8"
        finally:
            service.stop()
        assert not service.is_running()
    password = folder / "password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.read_text() in uri
    assert (folder / "data").stat().st_mode & 0o077 == 0
    assert password.read_text() not in log.read_text()


def test_a_wrong_password_is_refused(folder: Path, tmp_path: Path, free_port: Callable[[], int]) -> None:
    service, uri = postgres.start(folder, free_port(), log=tmp_path / "log", env=os.environ)
    try:
        with pytest.raises(Exception, match="password authentication failed"):
            ask(uri.replace((folder / "password").read_text(), "guess"), "SELECT 1")
    finally:
        service.stop()


def test_data_that_it_cannot_read_is_an_error_with_the_end_of_its_log(
    folder: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    service, _ = postgres.start(folder, free_port(), log=tmp_path / "log", env=os.environ)
    service.stop()
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServiceDied, match="PostgreSQL ended with exit code 1") as died:
        postgres.start(folder, free_port(), log=tmp_path / "log", env=os.environ)
    assert "incompatible" in str(died.value)


def test_a_database_beside_airflows_has_a_role_of_its_own(
    folder: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    service, uri = postgres.start(folder, free_port(), log=tmp_path / "log", env=os.environ)
    try:
        for password in ("first", "it's; \\ 'new'"):
            postgres.add_database(uri, "feedback", "feedback", password)
        mine = make_url(uri).set(username="feedback", password=password, database="feedback")
        rows = ask(
            mine.render_as_string(hide_password=False), "CREATE TABLE t (n int)", "SHOW synchronous_commit"
        )
        assert rows == "on"
        elsewhere = mine.set(database="airflow").render_as_string(hide_password=False)
        with pytest.raises(Exception, match="permission denied"):
            ask(elsewhere, "CREATE TABLE t (n int)")
        with pytest.raises(ServiceDied, match="could not make the database 'other'"):
            postgres.add_database(mine.render_as_string(hide_password=False), "other", "other", "x")
    finally:
        service.stop()
