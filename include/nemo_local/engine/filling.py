"""Fills a tool's arguments: weighs the candidates of each slot in the order of the schema."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from include.nemo_local.engine.candidates import ABSENT, Candidate, Taken, candidates_for
from include.nemo_local.engine.conversation import Tool
from include.nemo_local.engine.linear import Ranker
from include.nemo_local.engine.slots import Knowledge, Slot, coerce, slots_of, with_knowledge
from include.nemo_local.engine.view import View, key_of

GENERIC_SALT = 7
_FREE_TEXT_CHARS = 240
NOWHERE: frozenset[tuple[int, int]] = frozenset()


def salts(slot: Slot) -> tuple[int, int, int]:
    """The crossings of every feature: alone, with the argument's name, with the very argument."""
    own, named = slot.codes
    return GENERIC_SALT, named, own


def weigh(found: list[Candidate], slot: Slot, ranker: Ranker | None) -> np.ndarray:
    """Scores of candidates; their priors where nothing was learnt."""
    priors = np.array([candidate.prior for candidate in found])
    if ranker is None:
        return priors
    return ranker.scores(ranker.rows([(each.codes, each.words) for each in found], salts(slot)), priors)


def _best_effort(slot: Slot, view: View) -> Any:
    """A value for a required argument that nothing in the conversation fits."""
    if slot.choices:
        return slot.choices[0]
    if slot.kind == "array":
        return []
    if slot.kind in ("number", "integer"):
        return 0
    if slot.kind == "boolean":
        return False
    text = view.conversation.last("user") if slot.free else ""
    return " ".join(text.split())[:_FREE_TEXT_CHARS]


def _object(slot: Slot, view: View, ranker: Ranker | None, taken: dict[str, Taken]) -> tuple[Any, float]:
    """An object put together member by member."""
    value: dict[str, Any] = {}
    sureness = 0.0
    for inner in slot.inner:
        member, score, _ = fill_slot(inner, view, ranker, taken)
        if member is not ABSENT:
            value[inner.name] = member
            sureness += score / len(slot.inner)
    return value, sureness


def fill_slot(
    slot: Slot, view: View, ranker: Ranker | None, taken: dict[str, Taken]
) -> tuple[Any, float, frozenset[tuple[int, int]]]:
    """The best value (or `ABSENT`), its prior and its places; a required slot always gets a value."""
    found = candidates_for(slot, view, taken)
    if not found or (found[0].value is ABSENT and slot.kind == "object" and slot.inner):
        if slot.kind == "object":
            value, sureness = _object(slot, view, ranker, taken)
            return (value, sureness, NOWHERE) if value or slot.required else (ABSENT, 0.0, NOWHERE)
        return (_best_effort(slot, view), -1.0, NOWHERE) if slot.required else (ABSENT, 0.0, NOWHERE)
    scores = weigh(found, slot, ranker)
    best = int(np.argmax(scores))
    return found[best].value, min(max(found[best].prior, -1.0), 3.0), frozenset(found[best].places)


def learnt_slots(tool: Tool, known: Mapping[str, Knowledge]) -> tuple[Slot, ...]:
    """The tool's slots with what was learnt about them."""
    return tuple(with_knowledge(slot, known) for slot in slots_of(tool)) if known else slots_of(tool)


def fill(
    tool: Tool, view: View, ranker: Ranker | None = None, known: Mapping[str, Knowledge] | None = None
) -> tuple[dict[str, Any], float]:
    """Arguments for a call, and the mean prior of the required ones (how well they fit)."""
    arguments: dict[str, Any] = {}
    taken: dict[str, Taken] = {}
    sureness: list[float] = []
    for slot in learnt_slots(tool, known or {}):
        value, score, places = fill_slot(slot, view, ranker, taken)
        if value is ABSENT:
            continue
        arguments[slot.name] = value
        taken[slot.name] = Taken(key_of(value), places)
        if slot.required:
            sureness.append(score)
    return arguments, sum(sureness) / len(sureness) if sureness else 0.5


def same_value(slot: Slot, value: Any) -> str:
    """The key of a value as the slot would carry it, for comparing with candidates."""
    coerced = coerce(value, slot.kind)
    return key_of(value if coerced is None else coerced)
