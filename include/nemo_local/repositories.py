"""Repositories of the Data Store: trees of files under revisions, over the blobs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from include.nemo_local import clock
from include.nemo_local.blobs import Blobs
from include.nemo_local.errors import DuplicateRecord, Invalid, NotFound
from include.nemo_local.store import Record, Store

MAIN = "main"
_FILES_URL = re.compile(r"^hf://(datasets|models)/([^/]+)/([^/@]+)(?:@([^/]+))?(?:/(.*))?$")


@dataclass(frozen=True)
class RepoId:
    """``kind`` is ``datasets`` or ``models``."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Entry:
    """A file in a tree: ``digest`` is the SHA-256 of its content, ``size`` in bytes."""

    digest: str
    size: int
    lfs: bool = False


Tree = dict[str, Entry]


def parse_files_url(url: str) -> tuple[RepoId, str, str]:
    """``hf://datasets/ns/name[@revision][/path]`` as repository, revision and path ("" for all of it)."""
    parsed = _FILES_URL.match(url)
    if parsed is None:
        raise Invalid(
            f"files_url {url!r} is not understood: give hf://datasets/<namespace>/<name>[/<path>]",
            field="files_url",
        )
    kind, namespace, name, revision, path = parsed.groups()
    return RepoId(kind, namespace, name), revision or MAIN, path or ""


class Repositories:
    """Files by repository, revision and path. A revision's id derives from its files alone."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self.blobs = blobs

    def create(self, repo: RepoId) -> None:
        """Raises DuplicateRecord when it exists."""
        body = {"created_at": clock.stamp_seconds(), "refs": {}}
        with self._store.exclusive():
            self._store.insert(
                Record("repository", str(repo), f"{repo.kind}/{repo.namespace}", repo.name, body)
            )
            self._set_ref(repo, MAIN, self._save_tree(repo, {}))

    def ensure(self, repo: RepoId) -> None:
        """Creates the repository unless it exists."""
        if not self.exists(repo):
            try:
                self.create(repo)
            except DuplicateRecord:
                return

    def exists(self, repo: RepoId) -> bool:
        return self._store.by_id("repository", str(repo)) is not None

    def delete(self, repo: RepoId) -> None:
        """Forgets the repository with all its revisions. Raises NotFound."""
        with self._store.exclusive():
            self._record(repo)
            self._store.delete("repository", str(repo))
            for tree in self._store.select("tree"):
                if tree.namespace == str(repo):
                    self._store.delete("tree", tree.id)

    def resolve(self, repo: RepoId, revision: str = MAIN) -> str:
        """The commit id behind a branch, a tag or a commit id. Raises NotFound."""
        refs = self._record(repo).body["refs"]
        commit = str(refs.get(revision, revision))
        if self._store.get("tree", str(repo), commit) is None:
            raise NotFound(
                f"revision {revision} not found in {repo}; there are {', '.join(sorted(refs))}",
                {"X-Error-Code": "RevisionNotFound"},
            )
        return commit

    def tree(self, repo: RepoId, revision: str = MAIN) -> Tree:
        """All files of a revision, by path in sorted order. Raises NotFound."""
        record = self._store.get("tree", str(repo), self.resolve(repo, revision))
        files = record.body["files"] if record is not None else {}
        return {path: Entry(**entry) for path, entry in files.items()}

    def entry(self, repo: RepoId, revision: str, path: str) -> Entry:
        """Raises NotFound."""
        found = self.tree(repo, revision).get(path)
        if found is None:
            raise NotFound(f"{path} not found in {repo} at {revision}", {"X-Error-Code": "EntryNotFound"})
        return found

    def commit(self, repo: RepoId, change: Callable[[Tree], None], revision: str = MAIN) -> str:
        """Applies ``change`` to the branch's files and returns the new commit id."""
        with self._store.exclusive():
            known = revision in self._record(repo).body["refs"]
            files = self.tree(repo, revision) if known else {}
            change(files)
            commit = self._save_tree(repo, files)
            self._set_ref(repo, revision, commit)
        return commit

    def open_path(self, repo: RepoId, revision: str, path: str) -> Path:
        """Where the content of a file lies on disk. Raises NotFound."""
        return self.blobs.path(self.entry(repo, revision, path).digest)

    def lines(self, repo: RepoId, revision: str, paths: list[str]) -> Iterator[bytes]:
        """The non-empty lines of these files, one after the other, without holding a file in memory."""
        for path in paths:
            with self.open_path(repo, revision, path).open("rb") as file:
                for line in file:
                    if line.strip():
                        yield line

    def _record(self, repo: RepoId) -> Record:
        found = self._store.by_id("repository", str(repo))
        if found is None:
            raise NotFound(f"repository {repo} not found", {"X-Error-Code": "RepoNotFound"})
        return found

    def _save_tree(self, repo: RepoId, files: Tree) -> str:
        listed = {path: vars(entry) for path, entry in sorted(files.items())}
        commit = hashlib.sha1(orjson.dumps(listed), usedforsecurity=False).hexdigest()
        if self._store.get("tree", str(repo), commit) is None:
            record = Record("tree", f"{repo}@{commit}", str(repo), commit, {"files": listed})
            self._store.insert(record)
        return commit

    def _set_ref(self, repo: RepoId, revision: str, commit: str) -> None:
        def mutate(record: Record) -> None:
            refs: dict[str, Any] = record.body["refs"]
            refs[revision] = commit

        self._store.change("repository", str(repo), mutate)
