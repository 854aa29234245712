"""The values that could fill an argument, each with what is known about where it stands.

A candidate carries feature codes (for learnt weights) and a prior: the likeness of its surroundings to the
schema, which is all that a model knows that has never seen the workload.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from include.nemo_local.engine.atoms import Atom, shape_of
from include.nemo_local.engine.lists import list_values, object_values
from include.nemo_local.engine.slots import Slot, coerce, says, spoken
from include.nemo_local.engine.text import code, content_words, name_words
from include.nemo_local.engine.view import Seen, View, key_of


class _Absent:
    """The choice to leave an optional argument out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()
# What stands in the conversation must be this likely to be meant before an optional argument is given.
_ABSENT, _ABSENT_CHOICE = 1.9, 1.3
_ASIDE_SHARE = 0.5
_BACK = (0, 1, 2, 3, 3, 4, 4, 4, 4, 5)


@dataclass(slots=True)
class Candidate:
    """A value, its prior, its features, and where it stands newest: turns back, path, order there.

    `codes` tell how it stands there, `words` what is said around the answer, each word
    with its value (constants only).
    """

    value: Any
    prior: float = 0.0
    codes: list[int] = field(default_factory=list)
    words: list[tuple[int, float]] = field(default_factory=list)
    back: int = -1
    path: str = ""
    order: int = 0
    mentions: int = 0
    is_used: bool = False
    places: set[tuple[int, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Taken:
    """An argument that is filled already: the key of its value, and where that stands (turns back, row)."""

    key: str
    places: frozenset[tuple[int, int]]


def _tool_of(slot: Slot) -> str:
    return slot.path.partition(".")[0]


def _parameter(slot: Slot) -> str:
    return slot.path.partition(".")[2].replace("[]", "")


def _occurrences(slot: Slot, view: View, shapes: frozenset[str]) -> Iterator[tuple[Seen, str, Atom]]:
    """Atoms that fit, newest turn first, in reading order within a turn.

    Arguments of earlier calls are read too.
    """
    for seen in view.seen:
        values = seen.values
        for shape in sorted(shapes):
            for atom in values.by_shape.get(shape, ()):
                yield seen, seen.turn.role[0], atom
        for tool, values in seen.arguments:
            for atom in values.by_key.get(slot.name, ()):
                yield seen, f"c {tool}", atom
        values = seen.values
        if not slot.free or values.is_json:
            for atom in values.by_key.get(slot.name, ()):
                if atom.shape not in shapes:
                    yield seen, seen.turn.role[0], atom


def _likeness(slot: Slot, atom: Atom) -> float:
    """How well the key over a value names the slot: 1 for the same name, less for shared words."""
    if not atom.key:
        return 0.0
    if atom.key == slot.name:
        return 1.0
    key = set(name_words(atom.key))
    shared = len(key & set(name_words(slot.name)))
    return 0.7 * shared / max(len(key), 1) if shared else 0.0


def _describe(candidate: Candidate, slot: Slot, seen: Seen, source: str, atom: Atom) -> None:
    """Adds the features of one more place where the value stands (the newest three count)."""
    candidate.mentions += 1
    candidate.places.add((seen.back, atom.row))
    if candidate.mentions > 3:
        return
    back = _BACK[min(seen.back, 9)]
    rank = "first" if candidate.mentions == 1 else "more"
    candidate.codes.append(code(f"{rank} {source} {back}"))
    if atom.path:
        candidate.codes += [
            code(f"{rank} path {atom.path}"),
            code(f"{rank} tool {seen.turn.tool} {atom.key}"),
        ]
    elif atom.before:
        candidate.codes.append(code(f"{rank} before {atom.before}"))
    likeness = _likeness(slot, atom)
    if candidate.mentions == 1:
        candidate.codes.append(atom.fine)
        source_prior = {"u": 0.8, "t": 0.5}.get(source, 0.2)
        candidate.prior += source_prior - 0.12 * min(seen.back, 12)
        candidate.prior += 1.0 if atom.fine in slot.fines else 0.0
    candidate.prior = (
        candidate.prior + 1.6 * likeness if candidate.mentions == 1 else candidate.prior + 0.3 * likeness
    )


def _scalar(slot: Slot, view: View) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    shapes = slot.shapes
    if slot.choices:
        return found
    if not shapes and not slot.free:
        shapes = frozenset({"N", "a_a_0", "A-0", "#A0", "X6"})
    limit = view.capacity.candidates
    for seen, source, atom in _occurrences(slot, view, shapes):
        value = coerce(atom.value, slot.kind)
        if value is None:
            continue
        key = key_of(value)
        candidate = found.get(key)
        if candidate is None:
            if len(found) >= limit:
                continue
            candidate = found[key] = Candidate(value, back=seen.back, path=atom.path, order=atom.order)
        _describe(candidate, slot, seen, source, atom)
    return found


def _near(view: View) -> list[tuple[int, float]]:
    """The words around the answer: the code of each, told apart by who said it how long ago, and its value.

    The newest turn of the user counts most, then pairs of its words, what the assistant said, and older
    turns of the user. Each of these has a Euclidean norm of its own, so that none drowns another.
    """
    capacity = view.capacity
    depth = {"user": 1 + capacity.turns_read // 12, "assistant": 1}
    met = {"user": 0, "assistant": 0}
    near: list[tuple[int, float]] = []
    for seen in view.seen:
        role, text = seen.turn.role, seen.turn.text
        if not text or met.get(role, 9) >= depth.get(role, 0):
            continue
        found = content_words(text)[-(capacity.words_read // (1 + 2 * met[role])) :]
        newest = role == "user" and not met[role]
        near += _valued((f"{role[0]}{met[role]} {word}" for word in found), 1.0 if newest else _ASIDE_SHARE)
        if newest and capacity.word_pairs:
            near += _valued((f"pair {first} {second}" for first, second in pairwise(found)), _ASIDE_SHARE)
        met[role] += 1
    return near


def _valued(names: Iterable[str], share: float) -> list[tuple[int, float]]:
    distinct = dict.fromkeys(names)
    value = share / math.sqrt(max(len(distinct), 1))
    return [(code(name), value) for name in distinct]


def _constants(slot: Slot, view: View, found: dict[str, Candidate]) -> None:
    """Choices of the schema and values learnt, with the words of the newest turns as evidence for each."""
    choices: Iterable[Any] = slot.choices or slot.constants
    near = _near(view) if choices else []
    for choice in choices:
        value = coerce(choice, slot.kind)
        if value is None:
            continue
        key = key_of(value)
        candidate = found.setdefault(key, Candidate(value))
        own = code(f"value {key}")
        candidate.codes.append(own)
        candidate.words = [(word ^ own, weight) for word, weight in near]
        if isinstance(value, str):
            _mentions(candidate, spoken(value), slot, view)
        elif value is False:
            candidate.prior += 0.1


def _told(candidate: Candidate, slot: Slot, seen: Seen) -> Atom | None:
    """Where a result holds the choice: under the slot's name, or else under the key that is most like it."""
    wanted = key_of(candidate.value)
    values = seen.values
    for atoms in (values.by_key.get(slot.name, ()), values.by_shape.get(shape_of(candidate.value), ())):
        hits = [atom for atom in atoms if key_of(atom.value) == wanted]
        if hits:
            return max(hits, key=lambda atom: _likeness(slot, atom))
    return None


def _mentions(candidate: Candidate, phrase: str, slot: Slot, view: View) -> None:
    """Where a choice is spoken of: in prose by its words, in results under a key."""
    for seen in view.seen:
        if seen.values.is_json:
            if hit := _told(candidate, slot, seen):
                _describe(candidate, slot, seen, "t", hit)
        elif says(seen.turn.text, phrase):
            candidate.mentions += 1
            if candidate.mentions <= 3:
                candidate.codes.append(
                    code(f"says {candidate.mentions} {seen.turn.role[0]} {_BACK[min(seen.back, 9)]}")
                )
                candidate.prior += (1.5 - 0.12 * min(seen.back, 12)) / candidate.mentions
        if candidate.mentions >= 3:
            return


def _structured(slot: Slot, view: View) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    values = list_values(slot, view) if slot.kind == "array" else object_values(slot, view)
    for place, value in values:
        if len(found) >= view.capacity.candidates:
            break
        key = key_of(value)
        candidate = found.get(key)
        if candidate is None:
            candidate = found[key] = Candidate(value, back=place.back, path=place.path, order=place.order)
            candidate.prior = (
                1.0 - 0.12 * min(place.back, 12) + 1.5 * place.said + (0.8 if place.named else 0.0)
            )
            size = len(value) if isinstance(value, list) else 0
            candidate.codes.append(code(f"size {min(size, 4)}"))
            candidate.codes.append(code(f"said {place.source} {round(place.said * 3)} {size > 1}"))
        candidate.mentions += 1
        if candidate.mentions <= 3:
            candidate.codes.append(code(f"place {place.source} {place.path} {_BACK[min(place.back, 9)]}"))
            candidate.codes.append(code(f"source {place.source} {place.named}"))
    return found


def _relate(slot: Slot, view: View, taken: dict[str, Taken], found: dict[str, Candidate]) -> None:
    """Features of a candidate among its like: used before, taken by another argument, its rank there."""
    used = view.used.get((_tool_of(slot), _parameter(slot)), set())
    named = view.used_names.get(slot.name, set())
    places: dict[tuple[int, str, bool], int] = {}
    for key, candidate in sorted(found.items(), key=lambda item: (item[1].back, item[1].order)):
        candidate.is_used = key in used
        if candidate.is_used:
            candidate.prior -= 0.6
            candidate.codes.append(code("used"))
        if key in named:
            candidate.codes.append(code("named"))
        for other, argument in taken.items():
            if argument.places & candidate.places:
                candidate.prior += 0.4
                candidate.codes += [code("beside"), code(f"beside {other}")]
            if argument.key == key:
                candidate.prior -= 2.5
                candidate.codes += [code("taken"), code(f"taken by {other}")]
        place = (candidate.back, candidate.path, candidate.is_used)
        rank = places[place] = places.get(place, -1) + 1
        candidate.codes.append(code(f"rank {min(rank, 4)} {candidate.is_used}"))
        candidate.codes.append(code(f"mentions {min(candidate.mentions, 3)}"))
        candidate.prior -= 0.05 * min(rank, 6)


def candidates_for(slot: Slot, view: View, taken: dict[str, Taken]) -> list[Candidate]:
    """All values that could stand in the slot, in a fixed order; for an optional slot also `ABSENT`.

    `taken` maps the arguments already filled in this call to their values.
    """
    if slot.kind in ("array", "object"):
        found = _structured(slot, view)
    else:
        found = _scalar(slot, view)
        _constants(slot, view, found)
    _relate(slot, view, taken, found)
    ordered = [found[key] for key in sorted(found)]
    if not slot.required:
        ordered.append(Candidate(ABSENT, _ABSENT_CHOICE if slot.choices else _ABSENT, [code("absent")]))
    return ordered
