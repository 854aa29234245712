"""A large file goes up and comes down without either side holding it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from contract_stand_in import StandIn
from hub_script import sha256, write
from huggingface_hub import CommitOperationAdd, HfApi

from include.nemo import NemoClient, NemoUrls, datastore

MIB = 1024 * 1024
ALLOWED_BYTES = 24 * MIB
REPO = "large/files"
pytestmark = pytest.mark.usefixtures("stand_in_only")


@pytest.mark.parametrize(
    "size_bytes",
    [
        pytest.param(100 * MIB, id="100MiB"),
        pytest.param(300 * MIB, id="300MiB", marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, free_port: Callable[[], int], size_bytes: int
) -> None:
    source = write(tmp_path / "source", size_bytes)
    with StandIn(tmp_path, free_port()) as stand_in:
        urls = NemoUrls(stand_in.url, stand_in.url, f"{stand_in.url}/nim")
        store = datastore.DataStore(urls)
        with NemoClient(urls) as nemo:
            nemo.send(datastore.create_namespace("large"))
            store.ensure_repo(REPO)
            store.upload_file(REPO, "warm.jsonl", b"{}\n")
            before_bytes = stand_in.memory_bytes()
            tracemalloc.start()
            try:
                store.upload_file(REPO, "training/large.jsonl", source)
                nemo.download(datastore.download_file(REPO, "training/large.jsonl"), tmp_path / "back")
                ours_bytes = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert stand_in.memory_bytes() - before_bytes < ALLOWED_BYTES
        assert ours_bytes < ALLOWED_BYTES
    assert sha256(tmp_path / "back") == sha256(source)


def test_many_files_in_one_commit_are_held_one_at_a_time(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Files below the LFS limit travel inside the commit, all in one body: here of some 60 MiB."""
    source = write(tmp_path / "source", 4 * MIB)
    with StandIn(tmp_path, free_port()) as stand_in:
        httpx.post(f"{stand_in.url}/v1/datastore/namespaces", data={"namespace": "large"})
        hub = HfApi(endpoint=f"{stand_in.url}/v1/hf", token=False)
        hub.create_repo(REPO, repo_type="dataset")
        hub.upload_file(path_or_fileobj=source, path_in_repo="warm", repo_id=REPO, repo_type="dataset")
        adding = [CommitOperationAdd(f"training/{number}.jsonl", source) for number in range(11)]
        before_bytes = stand_in.memory_bytes()
        hub.create_commit(REPO, adding, commit_message="all", repo_type="dataset")
        assert stand_in.memory_bytes() - before_bytes < ALLOWED_BYTES
        last = hub.hf_hub_download(REPO, "training/10.jsonl", repo_type="dataset", cache_dir=tmp_path)
    assert sha256(last) == sha256(source)
