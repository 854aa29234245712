"""What a model of some capacity sees of a request: newest turns, their values, earlier calls."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from include.nemo_local.engine.atoms import Harvest, harvest, year_in
from include.nemo_local.engine.capacity import Capacity
from include.nemo_local.engine.conversation import Call, Conversation, Turn

DEFAULT_YEAR = "2024"


def key_of(value: Any) -> str:
    """Values that JSON would call equal have the same key: 1 and 1.0, objects with keys in another order."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return f"\0{value}"
    if isinstance(value, int | float):
        return f"\0{float(value)!r}" if abs(value) < 1e15 else f"\0{value!r}"
    return "\0" + json.dumps(value, sort_keys=True, default=str)


@dataclass(frozen=True, slots=True)
class Seen:
    """A turn that is read, its values, how many turns back it is (0: the newest), its calls' arguments."""

    turn: Turn
    values: Harvest
    back: int
    arguments: tuple[tuple[str, Harvest], ...] = ()


@dataclass(slots=True)
class View:
    """A request as read under a capacity.

    `seen` is newest first; `calls` are all earlier calls, oldest first.
    """

    conversation: Conversation
    capacity: Capacity
    seen: list[Seen]
    calls: list[Call]
    used: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    used_names: dict[str, set[str]] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)

    @property
    def newest(self) -> Turn | None:
        """The turn that is answered, if there is any."""
        return self.seen[0].turn if self.seen else None


def _note(view: View, tool: str, name: str, value: Any) -> None:
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            _note(view, tool, f"{name}.{inner_name}", inner)
    elif isinstance(value, list):
        for inner in value:
            _note(view, tool, name, inner)
    if not isinstance(value, dict):
        key = key_of(value)
        view.used.setdefault((tool, name), set()).add(key)
        view.used_names.setdefault(name.rpartition(".")[2], set()).add(key)


def _arguments(turn: Turn) -> tuple[tuple[str, Harvest], ...]:
    return tuple((call.name, harvest(json.dumps(call.arguments, default=str))) for call in turn.calls)


def look(conversation: Conversation, capacity: Capacity) -> View:
    """Reads the newest `capacity.turns_read` turns."""
    year = year_in(conversation.system[:4000]) or DEFAULT_YEAR
    newest = conversation.turns[-capacity.turns_read :][::-1]
    seen = [Seen(turn, harvest(turn.text, year), back, _arguments(turn)) for back, turn in enumerate(newest)]
    calls = [call for turn in reversed(newest) for call in turn.calls]
    view = View(conversation, capacity, seen, calls)
    for call in calls:
        view.repeats[call.name] += 1
        for name, value in call.arguments.items():
            _note(view, call.name, name, value)
    return view
