"""The Data Store as `huggingface_hub` 0.36 drives it, and its answers on the wire."""

import hashlib

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

LARGE = 10 * 1024 * 1024 + 1


@pytest.fixture
def repo(client, request):
    """A fresh data set repository, named after the test."""
    name = f"ds-{hashlib.sha256(request.node.name.encode()).hexdigest()[:10]}"
    client.upload(name, {})
    return f"flywheel/{name}"


def put(client, repo, path, content):
    return client.hub.upload_file(
        path_or_fileobj=content, path_in_repo=path, repo_id=repo, repo_type="dataset"
    )


def fetched(client, repo, path, tmp_path, **kwargs):
    local = client.hub.hf_hub_download(repo, path, repo_type="dataset", cache_dir=tmp_path, **kwargs)
    with open(local, "rb") as file:
        return file.read()


def test_a_namespace_is_created_once(client):
    first = client.post("/v1/datastore/namespaces", data={"namespace": "once"})
    assert (first.status_code, first.json()["namespace"]) == (201, "once")
    second = client.post("/v1/datastore/namespaces", data={"namespace": "once"})
    assert (second.status_code, second.headers["x-should-retry"]) == (409, "false")
    assert client.get("/v1/datastore/namespaces/once").json()["created_at"].endswith("Z")
    assert client.get("/v1/datastore/namespaces/never").status_code == 404


def test_a_repository_needs_its_namespace(client):
    answer = client.post(
        "/v1/hf/api/repos/create", json={"name": "d", "organization": "nobody", "type": "dataset"}
    )
    assert answer.status_code == 404
    assert "POST /v1/datastore/namespaces" in answer.json()["detail"]


def test_files_go_up_and_come_down(client, repo, tmp_path):
    assert client.hub.list_repo_files(repo, repo_type="dataset") == []
    put(client, repo, "training/train.jsonl", b'{"a": 1}\n')
    put(client, repo, "testing/eval.jsonl", b"")
    assert client.hub.list_repo_files(repo, repo_type="dataset") == [
        "testing/eval.jsonl",
        "training/train.jsonl",
    ]
    assert fetched(client, repo, "training/train.jsonl", tmp_path) == b'{"a": 1}\n'
    put(client, repo, "training/train.jsonl", b'{"a": 2}\n')
    assert fetched(client, repo, "training/train.jsonl", tmp_path) == b'{"a": 2}\n'


def test_a_large_file_goes_through_lfs(client, repo, tmp_path):
    content = bytes(range(256)) * (LARGE // 256 + 1)
    put(client, repo, "training/large.jsonl", content)
    [entry] = client.hub.get_paths_info(repo, "training/large.jsonl", repo_type="dataset")
    assert entry.lfs.sha256 == hashlib.sha256(content).hexdigest()
    assert entry.size == len(content)
    assert fetched(client, repo, "training/large.jsonl", tmp_path) == content
    put(client, repo, "training/copy.jsonl", content)
    assert fetched(client, repo, "training/copy.jsonl", tmp_path) == content


def test_an_lfs_content_must_be_what_its_id_says(client):
    answer = client.put(f"/v1/hf/lfs/{'0' * 64}", content=b"something else")
    assert answer.status_code == 400
    assert "upload it again" in answer.json()["detail"]


@pytest.mark.parametrize("oid", ["../../state.sqlite", "x" * 64, ""])
def test_an_object_id_names_no_other_file(client, repo, oid):
    line = {"key": "lfsFile", "value": {"path": "p", "algo": "sha256", "oid": oid, "size": 1}}
    answer = client.post(f"/v1/hf/api/datasets/{repo}/commit/main", json=line)
    assert answer.status_code == 422
    assert "SHA-256" in answer.text
    batch = client.post(
        f"/v1/hf/datasets/{repo}.git/info/lfs/objects/batch", json={"objects": [{"oid": oid, "size": 1}]}
    )
    assert batch.status_code == 422


def test_one_commit_adds_and_deletes_many(client, repo, tmp_path):
    for path in ("a/1", "a/2", "b/1"):
        put(client, repo, path, path.encode())
    client.hub.create_commit(
        repo,
        [
            CommitOperationDelete("a/", is_folder=True),
            CommitOperationDelete("b/1"),
            CommitOperationAdd("c/1", b"new"),
        ],
        commit_message="swap",
        repo_type="dataset",
    )
    assert client.hub.list_repo_files(repo, repo_type="dataset") == ["c/1"]


def test_a_revision_is_a_digest_of_the_files(client, repo, tmp_path):
    put(client, repo, "f", b"one")
    first = client.hub.dataset_info(repo).sha
    put(client, repo, "f", b"two")
    second = client.hub.dataset_info(repo).sha
    assert first != second
    assert fetched(client, repo, "f", tmp_path, revision=first) == b"one"
    put(client, repo, "f", b"one")
    assert client.hub.dataset_info(repo).sha == first
    folder = snapshot_download(
        repo, repo_type="dataset", endpoint=f"{client.url}/v1/hf", cache_dir=tmp_path, revision=second
    )
    with open(f"{folder}/f", "rb") as file:
        assert file.read() == b"two"


def test_head_tells_size_revision_and_digest(client, repo):
    put(client, repo, "f", b"12345")
    head = client.head(f"/v1/hf/datasets/{repo}/resolve/main/f")
    assert head.headers["content-length"] == "5"
    assert head.headers["etag"] == f'"{hashlib.sha256(b"12345").hexdigest()}"'
    assert head.headers["x-repo-commit"] == client.hub.dataset_info(repo).sha
    part = client.get(f"/v1/hf/datasets/{repo}/resolve/main/f", headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"23")


def test_what_is_missing_is_named_as_the_hub_does(client, repo, tmp_path):
    with pytest.raises(EntryNotFoundError):
        fetched(client, repo, "nothing", tmp_path)
    with pytest.raises(RevisionNotFoundError):
        client.hub.dataset_info(repo, revision="nothing")
    with pytest.raises(RepositoryNotFoundError):
        client.hub.list_repo_files("flywheel/nothing", repo_type="dataset")


def test_a_repository_is_created_once_and_deleted(client, repo):
    assert str(client.hub.create_repo(repo, repo_type="dataset", exist_ok=True)) == f"datasets/{repo}"
    put(client, repo, "f", b"1")
    client.hub.delete_repo(repo, repo_type="dataset")
    assert not client.hub.repo_exists(repo, repo_type="dataset")
    client.hub.create_repo(repo, repo_type="dataset")
    assert client.hub.list_repo_files(repo, repo_type="dataset") == []


@pytest.mark.parametrize(
    "line", [b"not json\n", b'{"key": "file", "value": {"path": "p"}}\n', b'{"key": "x"}\n']
)
def test_a_malformed_commit_is_refused_and_changes_nothing(client, repo, line):
    answer = client.post(f"/v1/hf/api/datasets/{repo}/commit/main", content=line)
    assert answer.status_code == 422
    assert client.hub.list_repo_files(repo, repo_type="dataset") == []
