"""What a commit says: its lines, read one at a time, and what each does to a tree of files."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from include.nemo_local.errors import ApiError, Invalid
from include.nemo_local.repositories import Entry, Repositories, Tree

REGULAR_LIMIT_BYTES = 10 * 1024 * 1024
"""Files up to this size go up inside the commit, larger ones on their own, through LFS."""
# Base64 makes three bytes four; the rest is for the path.
LINE_LIMIT_BYTES = REGULAR_LIMIT_BYTES * 4 // 3 + 64 * 1024


class Operation:
    """One line of a commit: puts an entry under a path, or takes a path away."""

    def __init__(self, path: str, entry: Entry | None, *, folder: bool = False) -> None:
        self._path, self._entry, self._folder = path, entry, folder

    def apply(self, tree: Tree) -> None:
        """Changes the tree in place; a path that is not there is no error."""
        if self._entry is not None:
            tree[self._path] = self._entry
        elif self._folder:
            below = self._path.rstrip("/") + "/"
            for path in [path for path in tree if path.startswith(below)]:
                del tree[path]
        else:
            tree.pop(self._path, None)


def operation(repositories: Repositories, line: bytes) -> Operation:
    """Reads a line of a commit and stores its content. Raises Invalid."""
    try:
        document = orjson.loads(line)
        key, value = document["key"], document["value"]
        if key == "header":
            return Operation("", None)
        path = str(value["path"])
        if key == "file":
            content = base64.b64decode(value["content"])
            return Operation(path, Entry(repositories.blobs.put(content), len(content)))
        if key == "lfsFile":
            return Operation(path, _stored_entry(repositories, value))
        if key in ("deletedFile", "deletedFolder"):
            return Operation(path, None, folder=key == "deletedFolder")
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"a commit line is malformed ({error!r})", field="commit") from error
    raise Invalid(f"commit lines of key {key!r} are not understood", field="commit")


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """A body as it comes. Raises ApiError 400 when its sender gives up."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise ApiError(400, "the sender closed the connection before the end of its content") from None


async def lines(request: Request) -> AsyncIterator[bytes]:
    """The lines of a body, holding one at a time. Raises ApiError 413 for one above the limit."""
    pending = bytearray()
    async for piece in pieces(request):
        *complete, rest = piece.split(b"\n")
        for part in complete:
            pending += part
            if pending.strip():
                yield bytes(pending)
            pending = bytearray()
        pending += rest
        if len(pending) > LINE_LIMIT_BYTES:
            raise ApiError(
                413,
                f"a file inside a commit may have {REGULAR_LIMIT_BYTES} bytes: upload it through LFS",
            )
    if pending.strip():
        yield bytes(pending)


def _stored_entry(repositories: Repositories, value: dict[str, Any]) -> Entry:
    oid = str(value["oid"])
    if not repositories.blobs.has(oid):
        raise Invalid(f"{value['path']}: LFS object {oid} was never uploaded", field="commit")
    return Entry(oid, repositories.blobs.path(oid).stat().st_size, lfs=True)
