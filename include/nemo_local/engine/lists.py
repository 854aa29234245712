"""Lists and objects that could fill an argument: from JSON results, earlier calls, and prose."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.nemo_local.engine.atoms import Atom
from include.nemo_local.engine.slots import Slot, coerce
from include.nemo_local.engine.view import Seen, View, key_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a structure stands. `said`: the share of its strings in the newest prose, 0..1."""

    source: str
    path: str
    back: int
    order: int
    named: bool
    said: float


def project(value: Any, slot: Slot) -> dict[str, Any] | None:
    """An object cut down to the slot's properties; None where a required one is missing or misfits."""
    if not isinstance(value, dict) or not slot.inner:
        return None
    out: dict[str, Any] = {}
    for inner in slot.inner:
        fitting = coerce(value[inner.name], inner.kind) if inner.name in value else None
        if fitting is not None and (not inner.choices or fitting in inner.choices):
            out[inner.name] = fitting
        elif inner.required:
            return None
    return out or None


def _rows(values: list[Any], item: Slot) -> list[Any] | None:
    if not values or len(values) > 20:
        return None
    if item.kind == "object":
        rows = [project(value, item) for value in values]
        return rows if all(rows) else None
    fitting = [coerce(value, item.kind) for value in values if not isinstance(value, dict | list)]
    return fitting if len(fitting) == len(values) and None not in fitting else None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _said(value: Any, prose: set[str]) -> float:
    strings = list(_strings(value))
    return sum(key_of(s) in prose for s in strings) / len(strings) if strings else 0.0


def _prose_keys(view: View) -> set[str]:
    """Keys of what the newest two turns of prose mention."""
    keys: set[str] = set()
    read = 0
    for seen in view.seen:
        if seen.turn.role in ("user", "assistant") and seen.turn.text:
            keys.update(key_of(atom.value) for atoms in seen.values.by_shape.values() for atom in atoms)
            read += 1
            if read == 2:
                break
    return keys


def _fitting(seen: Seen, slot: Slot) -> list[Atom]:
    found = [a for shape in sorted(slot.shapes) for a in seen.values.by_shape.get(shape, ())]
    if slot.fines and any(a.fine in slot.fines for a in found):
        found = [a for a in found if a.fine in slot.fines]
    return sorted((a for a in found if coerce(a.value, slot.kind) is not None), key=lambda a: a.order)


def _from_prose(seen: Seen, item: Slot, older: list[Seen]) -> list[dict[str, Any]]:
    """Rows around the values of the first property; the others take the nearest value, or an older one."""
    needed = [inner for inner in item.inner if inner.required or not item.inner[0].required]
    if not needed or not needed[0].shapes:
        return []
    rows: list[dict[str, Any]] = []
    for anchor in _fitting(seen, needed[0]):
        row: dict[str, Any] = {needed[0].name: coerce(anchor.value, needed[0].kind)}
        for inner in needed[1:]:
            near = _fitting(seen, inner)
            near.sort(key=lambda a: (abs(a.order - anchor.order), a.order))
            if not near:
                near = next((fit for other in older if (fit := _fitting(other, inner))), [])
            if not near:
                break
            row[inner.name] = coerce(near[0].value, inner.kind)
        else:
            if row not in rows:
                rows.append(row)
    return rows


def _called(view: View, slot: Slot) -> Iterator[Any]:
    for call in reversed(view.calls):
        if slot.name in call.arguments:
            yield call.arguments[slot.name]


def _lists_in_prose(seen: Seen, item: Slot, view: View, prose: set[str]) -> Iterator[tuple[Place, list[Any]]]:
    rows: list[Any]
    if item.kind == "object":
        rows = _from_prose(seen, item, view.seen[seen.back + 1 : seen.back + 9])[:6]
    else:
        rows = list(dict.fromkeys(coerce(atom.value, item.kind) for atom in _fitting(seen, item)))[:6]
    source = seen.turn.role[0]
    if rows:
        yield Place(source, "", seen.back, 0, False, _said(rows, prose)), rows
    for order, row in enumerate(rows[:4] if len(rows) > 1 else []):
        yield Place(f"{source}1", "", seen.back, order, False, _said(row, prose)), [row]


def _lists_in_json(seen: Seen, slot: Slot, prose: set[str]) -> Iterator[tuple[Place, list[Any]]]:
    for order, (path, values) in enumerate(seen.values.lists[:60]):
        if found := _rows(values, slot.inner[0]):
            named = path.rpartition(".")[2].replace("[]", "") == slot.name
            yield Place("t", path, seen.back, order, named, _said(found, prose)), found
            for row in found[:6] if len(found) > 1 else []:
                if (said := _said(row, prose)) > 0:
                    yield Place("t1", path, seen.back, order, named, said), [row]


def list_values(slot: Slot, view: View) -> Iterator[tuple[Place, list[Any]]]:
    """Lists for an array argument.

    Earlier arguments come first; then, newest turn first, rows of prose, JSON lists, and their members
    that are spoken of.
    """
    if not slot.inner:
        return
    prose = _prose_keys(view)
    for value in _called(view, slot):
        if isinstance(value, list) and (rows := _rows(value, slot.inner[0])):
            yield Place("c", slot.name, 3, 0, True, _said(rows, prose)), rows
    for seen in view.seen:
        if seen.values.is_json:
            yield from _lists_in_json(seen, slot, prose)
        else:
            yield from _lists_in_prose(seen, slot.inner[0], view, prose)


def object_values(slot: Slot, view: View) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Objects for an object argument: earlier arguments, then those of JSON results, then prose."""
    prose = _prose_keys(view)
    for value in _called(view, slot):
        if (fitting := project(value, slot)) is not None:
            yield Place("c", slot.name, 3, 0, True, _said(fitting, prose)), fitting
    for seen in view.seen:
        for order, (path, value) in enumerate(seen.values.objects[:60]):
            if (fitting := project(value, slot)) is not None:
                named = path.rpartition(".")[2].replace("[]", "") == slot.name
                yield Place("t", path, seen.back, order, named, _said(fitting, prose)), fitting
    for seen in view.seen[:6]:
        if not seen.values.is_json:
            for order, row in enumerate(
                _from_prose(seen, slot, view.seen[seen.back + 1 : seen.back + 9])[:4]
            ):
                yield Place(seen.turn.role[0], "", seen.back, order, False, _said(row, prose)), row
