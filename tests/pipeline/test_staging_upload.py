"""From the bucket into the Data Store, as the task `upload_datasets` does it: real requests to both."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator

import boto3
import httpx
import pytest
import uvicorn
from airflow.sdk.io import store
from moto.server import ThreadedMotoServer

from include.nemo import NemoClient
from include.nemo.datastore import DataStore, create_namespace, get_namespace
from include.nemo.urls import NemoUrls
from include.nemo_local.app import create_app
from include.nemo_local.settings import Settings
from include.stores import staging

JOB = "0123456789abcdef01234567"
KEY = "testing"
MIB = 1 << 20


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The endpoint of a server with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    who = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **who).create_bucket(Bucket="flywheel-upload")
    yield endpoint
    server.stop()


@pytest.fixture(scope="module")
def nemo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a stand-in."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("stand_in"))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the stand-in ended before it was ready"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


@pytest.mark.parametrize("size", [0, 1000, 11 * MIB], ids=["empty", "small", "large"])
def test_a_file_arrives_as_it_was_written(
    bucket: str, nemo: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"endpoint_url": bucket, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": KEY, "password": KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_STAGING_URL", "s3://aws_default@flywheel-upload/runs")
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    content = (b'{"messages": []}\n' * (size // 17 + 1))[:size]
    folder = staging.folder(JOB)
    with (folder / "train.jsonl").open("wb") as file:
        file.write(content)

    urls = NemoUrls(base_url=nemo, data_store_url=nemo, inference_url=f"{nemo}/nim")
    with NemoClient(urls) as client:
        client.ensure(create_namespace("flywheel"), get_namespace("flywheel"))
    data = DataStore(urls)
    data.ensure_repo("flywheel/from-a-bucket")
    with (staging.folder(JOB) / "train.jsonl").open("rb") as source:
        data.upload_file("flywheel/from-a-bucket", f"training/{size}.jsonl", source)
    where = f"{nemo}/v1/hf/datasets/flywheel/from-a-bucket/resolve/main/training/{size}.jsonl"
    arrived = httpx.get(where, follow_redirects=True, timeout=30).raise_for_status().content
    assert (len(arrived), hashlib.sha256(arrived).digest()) == (size, hashlib.sha256(content).digest())
