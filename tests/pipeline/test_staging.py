"""Staging in a bucket: real requests to moto's S3, over the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from airflow.sdk.io import store
from moto.server import ThreadedMotoServer

from include.flywheel.errors import ConfigError
from include.pipeline.upkeep import survey
from include.stores import staging

JOB = "0123456789abcdef01234567"
BUCKET = "flywheel-staging"
KEY = "testing"


class Bucket:
    """What stands in the store, seen past the code under test."""

    def __init__(self, endpoint: str) -> None:
        self._s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
        )
        self._s3.create_bucket(Bucket=BUCKET)

    def keys(self) -> list[str]:
        return [one["Key"] for one in self._s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def put(self, key: str) -> None:
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")

    def empty(self) -> None:
        for key in self.keys():
            self._s3.delete_object(Bucket=BUCKET, Key=key)

    def buckets(self) -> list[str]:
        return [one["Name"] for one in self._s3.list_buckets()["Buckets"]]


def use(monkeypatch: pytest.MonkeyPatch, url: str, endpoint: str = "") -> None:
    """Set the Variable and the connection that its URL names."""
    connection = {"conn_type": "aws", "login": KEY, "password": KEY}
    extra = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection | {"extra": extra}))
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_STAGING_URL", url)
    # A task's process opens each store once.
    monkeypatch.setattr(store, "_STORE_CACHE", {})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    use(monkeypatch, f"s3://aws_default@{BUCKET}/runs", endpoint)
    one = Bucket(endpoint)
    yield one
    one.empty()


def test_what_one_task_writes_another_reads_and_the_last_removes(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("runs/theirs/train.jsonl")
    lines = b'{"n": 1}\n' * 1000
    folder = staging.folder(JOB)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train.jsonl", "val.jsonl"):
        with (folder / name).open("wb") as file:
            file.write(lines)
    assert bucket.keys() == [f"runs/{JOB}/train.jsonl", f"runs/{JOB}/val.jsonl", "runs/theirs/train.jsonl"]

    monkeypatch.setattr(store, "_STORE_CACHE", {})
    with (staging.folder(JOB) / "train.jsonl").open("rb") as content:
        assert content.read() == lines

    monkeypatch.setattr(store, "_STORE_CACHE", {})
    staging.remove(JOB)
    assert bucket.keys() == ["runs/theirs/train.jsonl"]
    staging.remove(JOB)


def test_a_file_is_replaced_by_a_second_try(bucket: Bucket) -> None:
    for content in (b"half", b"whole"):
        folder = staging.folder(JOB)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "train.jsonl").open("wb") as file:
            file.write(content)
    with (folder / "train.jsonl").open("rb") as content:
        assert content.read() == b"whole"


def test_a_machine_with_a_role_of_its_own_needs_no_connection(
    bucket: Bucket, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, f"s3://{BUCKET}/runs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    folder = staging.folder(JOB)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.jsonl").open("wb") as file:
        file.write(b"{}")
    assert bucket.keys() == [f"runs/{JOB}/train.jsonl"]
    staging.remove(JOB)
    assert bucket.keys() == []


def test_the_clean_up_finds_the_folder_and_its_age(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survey.staging_folders() == []
    bucket.put(f"runs/{JOB}/train.jsonl")
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    [found] = survey.staging_folders()
    assert found.job_id == JOB
    assert found.born is not None
    assert abs(datetime.now(UTC) - found.born) < timedelta(minutes=1)


def test_a_missing_bucket_is_named_and_not_made(
    bucket: Bucket, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "s3://aws_default@flywheel-stagging/runs"
    use(monkeypatch, url, endpoint)
    with pytest.raises(ConfigError, match=f"(?s){url} .Variable flywheel_staging_url.*Make its bucket"):
        staging.folder(JOB)
    staging.remove(JOB)
    assert bucket.buckets() == [BUCKET]


def test_a_store_that_does_not_answer_is_an_os_error(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, f"s3://aws_default@{BUCKET}/runs", f"http://127.0.0.1:{free_port()}")
    for act in (staging.folder, staging.remove):
        with pytest.raises(
            OSError, match=rf"{BUCKET}/runs \(Variable flywheel_staging_url\) could not be reached"
        ):
            act(JOB)


def test_an_unknown_kind_of_store_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "s4://bucket/runs")
    with pytest.raises(ConfigError, match="s4://bucket/runs"):
        staging.folder(JOB)
    with pytest.raises(OSError, match="s4://bucket/runs"):
        staging.remove(JOB)
