"""The GPUs that deployments and training jobs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.nemo_local import clock
from include.nemo_local.store import Record, Store

USE = "gpu_use"
DEPLOYMENT = "deployment"
CUSTOMIZATION = "customization_job"
_HOLDERS = (DEPLOYMENT, CUSTOMIZATION)


class GpuPool:
    """Who holds how many is read from the records: ``hidden`` has ``gpus``, ``granted_at``, ``released``.

    Like a cluster's scheduler it grants in order of request, and lets pass what fits when the first does not.
    """

    def __init__(self, store: Store, total: int) -> None:
        self._store = store
        self.total = total
        self._on_grant: dict[str, Callable[[Record], None]] = {}

    def on_grant(self, kind: str, call: Callable[[Record], None]) -> None:
        """``call`` is told of each record of that kind once it got its GPUs."""
        self._on_grant[kind] = call

    def used(self) -> int:
        return sum(r.hidden["gpus"] for r in self._holders() if r.hidden.get("granted_at") is not None)

    def settle(self) -> None:
        """Grants what fits now. Called whenever somebody asks for GPUs or gives some back."""
        granted = []
        with self._store.exclusive():
            free = self.total - self.used()
            for record in self._holders():
                if record.hidden.get("granted_at") is None and record.hidden["gpus"] <= free:
                    free -= record.hidden["gpus"]
                    granted.append(self._grant(record))
            self._note_use(self.total - free)
        for record in granted:
            if record.kind in self._on_grant:
                self._on_grant[record.kind](record)

    def uses(self) -> list[dict[str, Any]]:
        """How many GPUs were in use since when (Unix seconds), oldest first: what a test measures."""
        return [record.body for record in self._store.select(USE)]

    def _note_use(self, used: int) -> None:
        known = self._store.last(USE)
        if known is None or known.body["used"] != used:
            record_id = clock.new_id("gpu-use")
            self._store.insert(Record(USE, record_id, "", record_id, {"at": clock.now(), "used": used}))

    def shortage(self, record: Record) -> str:
        """Says why that record waits, in the words that a cluster's events use."""
        return (
            f"NotEnoughResources: {record.hidden['gpus']} GPU(s) asked for, "
            f"{self.total - self.used()} of {self.total} free"
        )

    def _holders(self) -> list[Record]:
        records = [r for kind in _HOLDERS for r in self._store.select(kind) if not r.hidden.get("released")]
        return sorted(records, key=lambda record: record.seq)

    def _grant(self, record: Record) -> Record:
        def mutate(stored: Record) -> None:
            stored.hidden["granted_at"] = clock.now()

        changed = self._store.change(record.kind, record.id, mutate)
        return changed if changed is not None else record
