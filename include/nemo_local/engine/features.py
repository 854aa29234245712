"""What decides which tool is due: features of the newest turns and of the calls so far, as hashed indices."""

import math

import numpy as np

from include.nemo_local.engine.text import code, mix, word_codes
from include.nemo_local.engine.view import Seen, View, key_of

Row = tuple[np.ndarray, np.ndarray]
"""Feature indices and their values."""
_HAPPENED_SHARE, _SAID_SHARE = 1.0, 0.7
_FEW = (0, 1, 2, 3, 4, 4, 5, 5, 5)


def _few(count: int) -> int:
    return _FEW[min(count, 8)]


def _turn_words(view: View) -> list[np.ndarray]:
    """Words of the newest turns of each role, each told apart by role and age."""
    depth = {"user": 1 + view.capacity.turns_read // 12, "assistant": 1, "tool": 1}
    last = view.newest.role if view.newest else "none"
    met = {"user": 0, "assistant": 0, "tool": 0}
    found: list[np.ndarray] = []
    for seen in view.seen:
        role, text = seen.turn.role, seen.turn.text
        if not text or met[role] >= depth[role]:
            continue
        words_read = view.capacity.words_read // (1 + 2 * met[role])
        if role == "tool":
            if seen.back > 0 or seen.values.is_json:
                continue
            words_read = 12
        codes = word_codes(text, words_read, view.capacity.word_pairs and role != "tool")
        found.append(mix(codes, code(f"{role} {met[role]}")))
        if met[role] == 0 and role != "tool":
            found.append(mix(codes, code(f"{role} {last}")))
        met[role] += 1
    return found


def _result(seen: Seen, view: View) -> list[str]:
    """What kind of answer the newest tool gave, and what of it was not asked about yet."""
    values, tool = seen.values, seen.turn.tool
    if not values.is_json:
        start = seen.turn.text[:5].lower()
        return [f"result text {start == 'error'}", f"result {tool} text {start == 'error'}"]
    data = values.data
    names = [
        f"result {tool}",
        f"result {type(data).__name__} {_few(len(data) if isinstance(data, dict | list) else 1)}",
    ]
    if isinstance(data, dict):
        names += [f"key {key}" for key in list(data)[:24]]
        for key, value in list(data.items())[:24]:
            if isinstance(value, str) and len(value) <= 24 and not any(c.isdigit() for c in value):
                names += [f"result {key}={value.lower()}", f"result {tool} {key}={value.lower()}"]
            elif isinstance(value, bool):
                names += [f"result {key}={value}", f"result {tool} {key}={value}"]
    for path, listed in values.lists[:12]:
        fresh = [
            v
            for v in listed
            if isinstance(v, str) and not any(key_of(v) in u for u in view.used_names.values())
        ]
        names.append(f"listed {path} {_few(len(listed))}")
        if listed and isinstance(listed[0], str):
            names.append(f"fresh {path} {_few(len(fresh))}")
    return names


def _history(view: View) -> list[str]:
    calls = [call.name for call in view.calls]
    last = view.newest.role if view.newest else "none"
    names = ["bias", f"last {last}", f"turns {_few(len(view.conversation.turns) // 2)} {last}"]
    trail = [*["-"] * 3, *calls][-3:]
    names += [
        f"call1 {trail[2]} {last}",
        f"call2 {trail[1]} {trail[2]} {last}",
        f"call3 {' '.join(trail)} {last}",
    ]
    names += [f"called {name} {min(count, 3)}" for name, count in sorted(view.repeats.items())]
    names += [f"called {name} {last}" for name in sorted(view.repeats)]
    since = 0
    for seen in view.seen:
        if seen.turn.role == "user":
            break
        since += len(seen.turn.calls)
    names.append(f"since user {_few(since)}")
    before = next((seen.turn for seen in view.seen if seen.turn.role == "assistant"), None)
    names.append(f"asked {bool(before and before.text.rstrip().endswith('?'))} {last}")
    return names


def _shapes(view: View) -> list[str]:
    """Shapes of what the user said last, and whether it was used in a call already."""
    used = set().union(*view.used_names.values()) if view.used_names else set()
    for seen in view.seen:
        if seen.turn.role == "user":
            names = set()
            for shape, atoms in seen.values.by_shape.items():
                if shape in ("N", "num", "a", "phrase"):
                    continue
                fresh = sum(key_of(atom.value) not in used for atom in atoms)
                names.add(f"user gives {shape} {min(fresh, 2)}")
                names.add(f"user gives {shape} {min(fresh, 2)} {seen.back == 0} {bool(view.calls)}")
            return sorted(names) or ["user gives nothing"]
    return []


def features_of(view: View, buckets: int) -> Row:
    """Distinct feature indices in 0..buckets-1, sorted, and their values; never empty.

    What happened so far (calls, shapes of values), what the newest tool answered, and what was said each have
    the Euclidean norm given by their share, however many features they are: none drowns the others.
    """
    happened = [_history(view) + _shapes(view)]
    if view.newest and view.newest.role == "tool":
        happened.append(_result(view.seen[0], view))
    said = _turn_words(view)
    facts = [mix(np.array([code(name) for name in names], dtype=np.uint64), 1) for names in happened]
    parts = [(codes, _HAPPENED_SHARE) for codes in facts]
    parts += [(words, _SAID_SHARE / math.sqrt(len(said))) for words in said]
    indices = np.concatenate([codes for codes, _ in parts]) % np.uint64(buckets)
    values = np.concatenate(
        [np.full(len(codes), share / math.sqrt(max(len(codes), 1))) for codes, share in parts]
    )
    distinct, first = np.unique(indices, return_index=True)
    return distinct.astype(np.int64), values[first]
