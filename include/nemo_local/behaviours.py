"""Jobs that hang, fail or take their time on request, for tests of the clients."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.nemo_local import clock
from include.nemo_local.store import Record, Store


class Behaviour(BaseModel):
    """Makes jobs on a model hang (``hold``), fail (``fail``: why), or last (``seconds``, at least)."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    kind: Literal["deployment", "customization", "evaluation"]
    model_contains: str = ""
    hold: bool = False
    fail: str | None = None
    seconds: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_effect(self) -> Behaviour:
        if [self.hold, self.fail is not None, self.seconds is not None].count(True) != 1:
            raise ValueError('give one of "hold": true, "fail": "<reason>" and "seconds": <number>')
        return self


class Behaviours:
    """The behaviours in force; they survive a restart, as the jobs do."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Asked for with every request to a model: read once, and again after a change.
        self._known: list[tuple[Behaviour, float]] | None = None

    def add(self, behaviour: Behaviour) -> None:
        record_id = clock.new_id("behaviour")
        hidden = {"since": clock.now()}
        record = Record("behaviour", record_id, "", record_id, behaviour.model_dump(), hidden)
        with self._store.exclusive():
            self._store.insert(record)
            self._known = None

    def clear(self) -> None:
        with self._store.exclusive():
            for record in self._store.select("behaviour"):
                self._store.delete("behaviour", record.id)
            self._known = None

    def _in_force(self) -> list[tuple[Behaviour, float]]:
        """The behaviours, oldest first, and since when (Unix seconds)."""
        known = self._known
        if known is None:
            with self._store.exclusive():
                records = self._store.select("behaviour")
                known = [(Behaviour.model_validate(one.body), one.hidden["since"]) for one in records]
                self._known = known
        return known

    def of(self, kind: str, *models: str, until: float | None = None) -> Behaviour | None:
        """The behaviour for a job on these models; with ``until`` (Unix seconds) only one set before then."""
        for behaviour, since in self._in_force():
            if (
                (until is None or since < until)
                and behaviour.seconds is None
                and behaviour.kind == kind
                and any(behaviour.model_contains in model for model in models)
            ):
                return behaviour
        return None

    def seconds(self, kind: str, *models: str, default: float) -> float:
        """How long a job on these models lasts at least; ``default`` where no behaviour says."""
        for behaviour, _ in self._in_force():
            if (
                behaviour.seconds is not None
                and behaviour.kind == kind
                and any(behaviour.model_contains in model for model in models)
            ):
                return behaviour.seconds
        return default
