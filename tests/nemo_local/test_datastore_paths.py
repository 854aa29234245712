"""Folders, paths and `hf://` URLs of the Data Store, as file system clients walk them."""

import hashlib
import time

import pytest
from huggingface_hub import HfFileSystem
from huggingface_hub.errors import EntryNotFoundError

FILES = {
    "about.txt": b"about",
    "training/train.jsonl": b'{"row": 1}\n{"row": 2}\n',
    "training/more/part.jsonl": b'{"row": 3}\n',
    "training2/other.jsonl": b'{"row": 4}\n',
}


@pytest.fixture(scope="module")
def repo(client):
    client.upload("paths", FILES)
    return "flywheel/paths"


@pytest.fixture(scope="module")
def files(client):
    return HfFileSystem(endpoint=f"{client.url}/v1/hf", token=False, skip_instance_cache=True)


def listed(client, repo, folder="", **kwargs):
    found = client.hub.list_repo_tree(repo, folder or None, repo_type="dataset", **kwargs)
    return [entry.path for entry in found]


def test_a_folder_lists_its_own_level_or_all_below_it(client, repo):
    assert listed(client, repo) == ["about.txt", "training", "training2"]
    assert listed(client, repo, "training") == ["training/more", "training/train.jsonl"]
    assert listed(client, repo, "training", recursive=True) == [
        "training/more",
        "training/more/part.jsonl",
        "training/train.jsonl",
    ]
    assert client.hub.list_repo_files(repo, repo_type="dataset") == sorted(FILES)
    with pytest.raises(EntryNotFoundError):
        listed(client, repo, "nothing")


def test_paths_are_described_and_missing_ones_left_out(client, repo):
    found = client.hub.get_paths_info(repo, ["training", "about.txt", "nothing"], repo_type="dataset")
    assert [(type(entry).__name__, entry.path) for entry in found] == [
        ("RepoFolder", "training"),
        ("RepoFile", "about.txt"),
    ]
    assert found[1].size == len(FILES["about.txt"])


def test_an_hf_url_leads_to_the_rows(files, repo):
    url = f"hf://datasets/{repo}"
    assert files.glob(f"{url}/**/*.jsonl") == [
        f"datasets/{repo}/{path}" for path in sorted(FILES) if path.endswith(".jsonl")
    ]
    with files.open(f"{url}/training/train.jsonl") as file:
        assert file.read() == FILES["training/train.jsonl"]
    with files.open(f"{url}@main/training/train.jsonl", block_size=8) as file:
        file.seek(11)
        assert file.read(5) == FILES["training/train.jsonl"][11:16]
    assert not files.exists(f"{url}/training/nothing.jsonl")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=3-", 206, slice(3, None)),
        ("bytes=-4", 206, slice(-4, None)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=999-", 416, None),
    ],
)
def test_a_part_of_a_file_can_be_asked_for(client, repo, wanted, status, part):
    content = FILES["training/train.jsonl"]
    path = f"/v1/hf/datasets/{repo}/resolve/main/training/train.jsonl"
    answer = client.get(path, headers={"Range": wanted})
    assert answer.status_code == status
    if part is not None:
        assert answer.content == content[part]
        assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'


def test_a_folder_is_deleted_without_its_namesakes(client):
    client.upload("paths-deleted", FILES)
    client.hub.delete_folder("training", "flywheel/paths-deleted", repo_type="dataset")
    left = client.hub.list_repo_files("flywheel/paths-deleted", repo_type="dataset")
    assert left == ["about.txt", "training2/other.jsonl"]


def test_a_file_too_large_for_a_commit_is_refused(client, repo):
    def line():
        yield b'{"key": "file", "value": {"path": "big", "encoding": "base64", "content": "'
        for _ in range(15):
            yield b"QUFB" * (1 << 18)
        yield b'"}}\n'

    answer = client.post(f"/v1/hf/api/datasets/{repo}/commit/main", content=line())
    assert answer.status_code == 413
    assert "LFS" in answer.json()["detail"]
    assert client.hub.list_repo_files(repo, repo_type="dataset") == sorted(FILES)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", f"/v1/hf/lfs/{'0' * 64}"), ("POST", "/v1/hf/api/datasets/flywheel/given-up/commit/main")],
)
def test_a_sender_that_gives_up_leaves_nothing_behind(start, tmp_path, capfd, method, path):
    def half():
        yield b'{"key": "header", "value": {}}\n' * 10_000
        raise ConnectionAbortedError

    with start() as client:
        client.upload("given-up", {})
        with pytest.raises(ConnectionAbortedError):
            client.request(method, path, content=half())
        incoming = tmp_path / "data" / "blobs" / "incoming"
        deadline = time.monotonic() + 5
        while list(incoming.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(incoming.iterdir()) == []
        assert client.hub.list_repo_files("flywheel/given-up", repo_type="dataset") == []
    assert "Traceback" not in capfd.readouterr().err
