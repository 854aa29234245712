"""Files and folders of a revision in the words of the Hugging Face Hub API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from include.nemo_local.errors import NotFound
from include.nemo_local.repositories import Entry, Tree

_POINTER_BYTES = 134


def below(tree: Tree, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """What lies in a folder ("" for the root): with `recursive` all below it, else its own level.

    Raises NotFound for a folder that is not there; the root always is.
    """
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    inside = {path: entry for path, entry in tree.items() if path.startswith(prefix)}
    if prefix and not inside:
        raise NotFound(f"{folder} not found", {"X-Error-Code": "EntryNotFound"})
    listed = {path: _file(path, entry) for path, entry in inside.items()}
    listed |= {path: _folder(path) for path in _folders(inside) if path.startswith(prefix)}
    return [listed[path] for path in sorted(listed) if recursive or "/" not in path.removeprefix(prefix)]


def named(tree: Tree, paths: Iterable[str]) -> list[dict[str, Any]]:
    """The files and folders of these paths; one that is not there is left out, as the hub does."""
    folders = set(_folders(tree))
    found = []
    for path in (given.strip("/") for given in paths):
        if path in tree:
            found.append(_file(path, tree[path]))
        elif path in folders:
            found.append(_folder(path))
    return found


def _folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        parts = path.split("/")[:-1]
        yield from ("/".join(parts[: depth + 1]) for depth in range(len(parts)))


def _file(path: str, entry: Entry) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": "file", "path": path, "size": entry.size, "oid": entry.digest[:40]}
    if entry.lfs:
        answer["lfs"] = {"oid": entry.digest, "size": entry.size, "pointerSize": _POINTER_BYTES}
    return answer


def _folder(path: str) -> dict[str, Any]:
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}
