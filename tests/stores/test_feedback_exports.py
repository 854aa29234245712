"""Where exports go: a folder, or a bucket over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from airflow.sdk.io import store
from moto.server import ThreadedMotoServer

from include.flywheel.errors import ConfigError, ExportRefused
from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.export.lines import FeedbackRow
from include.flywheel.feedback.export.names import checked_name
from include.flywheel.feedback.export.spec import ExportSpec, Filters
from include.flywheel.feedback.export.write import write_export
from include.stores.feedback_exports import VARIABLE, open_export_folder

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROW = FeedbackRow(
    "f1", NOW, "where is my parcel?", "It is on its way to you.", "m", 1, None, None, None, None, None
)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a root in an empty bucket."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_EXPORTS", json.dumps(connection))
    store._STORE_CACHE.clear()
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="testing", aws_secret_access_key="testing",
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket="flywheel")
    yield "s3://exports@flywheel/feedback"
    server.stop()
    store._STORE_CACHE.clear()


def test_the_variable_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in (str(tmp_path / "a"), f"file://{tmp_path}/b%20c"):
        monkeypatch.setenv(VARIABLE, said)
        assert isinstance(open_export_folder(), LocalFolder)
    assert (tmp_path / "b c").is_dir()


def test_nothing_said_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=f"{VARIABLE} is not set"):
        open_export_folder()


def test_an_export_into_a_bucket_appears_whole(bucket: str) -> None:
    folder = open_export_folder(bucket)
    spec = ExportSpec(filters=Filters.last(7, now=NOW), format="all")
    name = checked_name("weekly/a.jsonl")
    done = write_export([ROW], spec, folder, name)
    write_export([ROW], spec, folder, name)
    root = folder._root  # type: ignore[attr-defined]
    assert sorted(path.name for path in (root / "weekly").iterdir()) == sorted(
        ["a.manifest.json", *(file.name.removeprefix("weekly/") for file in done.files)]
    )
    said = json.loads((root / "weekly" / "a.manifest.json").read_bytes())
    assert said["files"][0]["sha256"] == done.files[0].sha256
    assert folder.where("weekly/a.jsonl").endswith("flywheel/feedback/weekly/a.jsonl")


def test_a_failed_export_puts_nothing_into_the_bucket(bucket: str) -> None:
    folder = open_export_folder(bucket)

    def broken() -> Iterator[FeedbackRow]:
        yield ROW
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_export(broken(), ExportSpec(filters=Filters.last(7)), folder, checked_name("a"))
    root = folder._root  # type: ignore[attr-defined]
    assert not (root / "a.jsonl").exists()


def test_a_bucket_that_is_not_there_is_not_made(bucket: str) -> None:
    with pytest.raises(ConfigError, match="Make its bucket"):
        open_export_folder(bucket.replace("flywheel", "flywhel"))
    with pytest.raises(ConfigError, match="cannot be used"):
        open_export_folder("nothing://x/y")
    with pytest.raises(ExportRefused):
        open_export_folder(bucket).check("../a")
