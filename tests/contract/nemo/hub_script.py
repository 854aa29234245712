"""Drives a Data Store through whatever `huggingface_hub` can be imported, and prints its version.

Arguments: the endpoint, the repository, a folder for its files, the bytes of the large file (0 for none), and
"lfs" where it must have gone up apart from its commit. STORE_TOKEN is the token, where one is asked for.
Run as a program, so that each version has an interpreter of its own.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi, HfFileSystem, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

SMALL = "training/small.jsonl"
LARGE = "training/large.jsonl"
TOKEN = os.environ.get("STORE_TOKEN") or False


def sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, size_bytes: int) -> Path:
    """Lines of one repeated row; written in pieces."""
    line = b'{"messages": [{"role": "user", "content": "where is it?"}]}\n'
    with path.open("wb") as file:
        while file.tell() < size_bytes:
            file.write(line * 10_000)
    return path


def visible(api: HfApi, repo: str) -> list[str]:
    """Without `.gitattributes` and its like, which a store may add by itself."""
    return [path for path in api.list_repo_files(repo, repo_type="dataset") if not path.startswith(".")]


def uploads(api: HfApi, repo: str, sources: dict[str, Path], transfer: str) -> None:
    url = api.create_repo(repo, repo_type="dataset")
    assert str(api.create_repo(repo, repo_type="dataset", exist_ok=True)) == str(url)
    assert visible(api, repo) == []
    for path, source in sources.items():
        done = api.upload_file(path_or_fileobj=source, path_in_repo=path, repo_id=repo, repo_type="dataset")
        assert done.oid == api.dataset_info(repo).sha
    assert visible(api, repo) == sorted(sources)

    large = [path for path in sources if path == LARGE and transfer == "lfs"]
    assert all(entry.lfs for entry in api.get_paths_info(repo, large, repo_type="dataset"))


def downloads(api: HfApi, repo: str, sources: dict[str, Path], folder: Path) -> None:
    for path, source in sources.items():
        local = api.hf_hub_download(repo, path, repo_type="dataset", cache_dir=folder / "cache")
        assert sha256(local) == sha256(source)
    endpoint = api.endpoint
    whole = snapshot_download(
        repo, repo_type="dataset", endpoint=endpoint, token=TOKEN, cache_dir=folder / "snapshot"
    )
    assert {path: sha256(Path(whole) / path) for path in sources} == {
        path: sha256(source) for path, source in sources.items()
    }
    files = HfFileSystem(endpoint=endpoint, token=TOKEN)
    assert files.glob(f"hf://datasets/{repo}/**/*.jsonl") == [
        f"datasets/{repo}/{path}" for path in sorted(sources)
    ]
    with files.open(f"hf://datasets/{repo}/{SMALL}") as opened:
        assert opened.read() == sources[SMALL].read_bytes()


def deletions(api: HfApi, repo: str, sources: dict[str, Path], folder: Path) -> None:
    before = api.dataset_info(repo).sha
    api.delete_file(SMALL, repo, repo_type="dataset")
    assert visible(api, repo) == sorted(set(sources) - {SMALL})
    for error, call in (
        (EntryNotFoundError, lambda: api.hf_hub_download(repo, SMALL, repo_type="dataset")),
        (RevisionNotFoundError, lambda: api.dataset_info(repo, revision="nothing")),
        (RepositoryNotFoundError, lambda: api.dataset_info(f"{repo}-nothing")),
    ):
        try:
            call()
        except error:
            continue
        raise AssertionError(f"{error.__name__} was due")
    # A commit keeps its files whatever later ones take away.
    old = api.hf_hub_download(repo, SMALL, repo_type="dataset", revision=before, cache_dir=folder / "old")
    assert sha256(old) == sha256(sources[SMALL])
    api.delete_repo(repo, repo_type="dataset")
    assert not api.repo_exists(repo, repo_type="dataset")


def main() -> None:
    endpoint, repo, place, large_bytes, transfer = sys.argv[1:]
    folder = Path(place)
    sources = {SMALL: write(folder / "small", 1)}
    if int(large_bytes):
        sources[LARGE] = write(folder / "large", int(large_bytes))
    api = HfApi(endpoint=endpoint, token=TOKEN)
    uploads(api, repo, sources, transfer)
    downloads(api, repo, sources, folder)
    deletions(api, repo, sources, folder)
    sys.stdout.write(huggingface_hub.__version__)


if __name__ == "__main__":
    main()
