"""The collection `nim_overrides`: one document for each NIM that an administrator has changed.

A change is one update that compares the version it has seen; nothing is read and written back without that.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.config.nims import Nim
from include.flywheel.config.overrides import NimOverride, changed
from include.flywheel.errors import StaleVersion
from include.flywheel.runs.documents import now

NOT_CHANGED_YET = 0
"""The version of a NIM without a document."""


class NimOverrides:
    """What is asked of, and written into, the overrides.

    A NIM's name is the `_id` of its document, so that there can be only one.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._overrides = database["nim_overrides"]

    def all(self) -> dict[str, NimOverride]:
        """Every override by the NIM's name, also those that were reset."""
        return {one.nim: one for one in map(_override, self._overrides.find({}))}

    def find(self, nim: str) -> NimOverride | None:
        """The override of a NIM, or None where it was never changed."""
        found = self._overrides.find_one({"_id": nim})
        return None if found is None else _override(found)

    def change(self, nim: Nim, changes: dict[str, Any], *, version: int, by: str) -> NimOverride:
        """Lay `changes` (as `read_changes` gives them) over what is said of the file's `nim` so far.

        :param version: the override's version that the caller has seen; 0: none.
        :raises ConfigError: the result is no entry that the catalogue could have.
        :raises StaleVersion: somebody else changed it meanwhile.
        """
        seen = self._seen(nim.name, version)
        said = (seen.changes if seen else {}) | changes
        changed(nim, said)
        return self._write(nim.name, seen, said, by)

    def reset(
        self, nim: str, *, by: str, version: int | None = None, fields: Collection[str] | None = None
    ) -> NimOverride | None:
        """Take the override back: all of it, or `fields` alone. Where nothing is said nothing is written.

        :param version: as for `change`; None: whatever it is by now.
        :raises StaleVersion: somebody else changed it meanwhile.
        """
        seen = self.find(nim) if version is None else self._seen(nim, version)
        if seen is None:
            return None
        kept = {} if fields is None else {key: seen.changes[key] for key in seen.changes if key not in fields}
        return seen if kept == seen.changes else self._write(nim, seen, kept, by)

    def _seen(self, nim: str, version: int) -> NimOverride | None:
        found = self.find(nim)
        current = found.version if found else NOT_CHANGED_YET
        if current != version:
            raise _stale(nim, version, found)
        return found

    def _write(self, nim: str, seen: NimOverride | None, changes: dict[str, Any], by: str) -> NimOverride:
        if seen is None:
            first = NimOverride(nim=nim, version=1, changes=changes, changed_by=by, changed_at=now())
            with suppress(DuplicateKeyError):
                self._overrides.insert_one({"_id": nim, **first.model_dump(mode="json")})
                return first
            raise _stale(nim, NOT_CHANGED_YET, self.find(nim))
        following = seen.followed_by(changes, by, now())
        done = self._overrides.update_one(
            {"_id": nim, "version": seen.version}, {"$set": following.model_dump(mode="json")}
        )
        if done.modified_count != 1:
            raise _stale(nim, seen.version, self.find(nim))
        return following


def _override(found: dict[str, Any]) -> NimOverride:
    del found["_id"]
    return NimOverride.model_validate(found)


def _stale(nim: str, version: int, found: NimOverride | None) -> StaleVersion:
    said = f"NIM {nim}: `version` = {version}, but"
    if found is None:
        return StaleVersion(f"{said} it was never changed, which is version {NOT_CHANGED_YET}; give that")
    return StaleVersion(
        f"{said} {found.changed_by} made version {found.version} at {found.changed_at}; "
        "read the NIM again and repeat what still holds"
    )
