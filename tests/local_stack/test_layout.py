"""Folders that only their owner reads, and ports that nobody else uses."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from include.local_stack.errors import PortTaken
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_what_is_made_is_its_owners_alone(layout: Layout) -> None:
    before = os.umask(0)
    try:
        layout.create()
        layout.create()
    finally:
        os.umask(before)
    folders = [layout.state, layout.logs, layout.airflow_home, layout.log_store, layout.staging]
    assert [mode(folder) for folder in folders] == [0o700] * 5


def test_a_folder_of_the_users_keeps_its_mode(layout: Layout) -> None:
    layout.state.mkdir(mode=0o755)
    layout.create()
    assert mode(layout.state) == 0o755
    assert mode(layout.airflow_home) == 0o700


def test_a_stack_is_known_by_the_real_path_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    there = Layout(tmp_path / "there" / "state").stack_id
    assert Layout(tmp_path / "link" / "state").stack_id == there
    assert Layout(tmp_path / "state").stack_id != there


def test_postgres_lives_in_the_state_and_as_root_where_others_can_reach_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert layout.postgres == layout.state / "postgres"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert layout.postgres == Path("/var/tmp") / f"flywheel-{layout.stack_id}"


def test_the_project_root_is_the_repositorys() -> None:
    assert (PROJECT_ROOT / "airflow_settings.yaml").is_file()
    assert (PROJECT_ROOT / "dags").is_dir()


def test_free_ports_are_free_and_differ() -> None:
    ports = Ports.free()
    ports.check_free()
    assert len(set(asdict(ports).values())) == 5


def test_a_taken_port_is_named_with_its_service_and_the_way_out() -> None:
    ports = Ports.free()
    with socket.socket() as one, socket.socket() as other:
        for holder, port in ((one, ports.mongo), (other, ports.airflow)):
            holder.bind(("127.0.0.1", port))
            holder.listen()
        with pytest.raises(PortTaken) as refused:
            ports.check_free()
    message = str(refused.value)
    assert f"{ports.mongo} (mongo)" in message
    assert f"{ports.airflow} (airflow)" in message
    assert str(ports.nemo) not in message
    assert "--free-ports" in message
    ports.check_free()
