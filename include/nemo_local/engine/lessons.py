"""Training rows turned into what the two linear models learn from."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from include.nemo_local.engine.atoms import shape_of
from include.nemo_local.engine.blanks import with_blanks
from include.nemo_local.engine.candidates import ABSENT, Taken, candidates_for
from include.nemo_local.engine.capacity import Capacity
from include.nemo_local.engine.conversation import Conversation, Turn, read_row
from include.nemo_local.engine.features import Row, features_of
from include.nemo_local.engine.filling import learnt_slots, salts, same_value
from include.nemo_local.engine.linear import Features, Ranker
from include.nemo_local.engine.memory import moment_codes
from include.nemo_local.engine.slots import Knowledge, Slot, slots_of
from include.nemo_local.engine.view import View, key_of, look

MAX_CONSTANTS = 24
MAX_SHAPES = 6
_LABEL_CHARS = 60


@dataclass(slots=True)
class Choice:
    """A list of candidates: features for the ranker, priors, and the position of the right one."""

    rows: Features
    priors: np.ndarray
    answer: int


@dataclass(slots=True)
class Lesson:
    """One training row: features of its context, its class, its arguments' choices, its answer in text."""

    features: Row
    label: str
    choices: list[Choice] = field(default_factory=list)
    reply: str = ""
    moment: list[int] = field(default_factory=list)


def read_rows(rows: Iterable[Mapping[str, Any]], most: int) -> list[tuple[Conversation, Turn]]:
    """The usable rows, at most `most`. Texts that rows share (conversations grow by turns) are held once."""
    texts: dict[str, str] = {}
    turns: dict[Any, Turn] = {}
    read: list[tuple[Conversation, Turn]] = []
    for row in rows:
        if len(read) >= most:
            break
        if (found := read_row(row)) is None:
            continue
        conversation, answer = found
        shared = []
        for turn in conversation.turns:
            if turn.calls:
                shared.append(turn)
                continue
            text = texts.setdefault(turn.text, turn.text)
            shared.append(turns.setdefault((turn.role, text, turn.tool), turn))
        system = texts.setdefault(conversation.system, conversation.system)
        read.append((Conversation(system, tuple(shared), conversation.tools, conversation.examples), answer))
    return read


def label_of(conversation: Conversation, answer: Turn, labels: frozenset[str]) -> str:
    """The class of an answer: the tool that it calls, a label by itself (`"=" + text`), or text ("")."""
    if answer.calls:
        return answer.calls[0].name
    text = answer.text.strip()
    return "=" + text if text in labels and not conversation.tools else ""


def labels_in(rows: list[tuple[Conversation, Turn]]) -> frozenset[str]:
    """Short answers that come again and again where no tools are offered: the labels of a classification."""
    texts = Counter(a.text.strip() for c, a in rows if not c.tools and not a.calls)
    total = sum(texts.values())
    short = {t: n for t, n in texts.items() if len(t) <= _LABEL_CHARS and n >= 2}
    return frozenset(short) if total and sum(short.values()) >= 0.8 * total else frozenset()


def _values(slot: Slot, value: Any) -> Iterator[tuple[str, Any]]:
    """Every scalar of an argument with the path of its slot."""
    if slot.kind == "array" and slot.inner and isinstance(value, list):
        for each in value:
            yield from _values(slot.inner[0], each)
    elif slot.kind == "object" and isinstance(value, dict):
        for inner in slot.inner:
            if inner.name in value:
                yield from _values(inner, value[inner.name])
    elif isinstance(value, str | int | float | bool):
        yield slot.path, value


def _may_repeat(value: Any) -> bool:
    """Whether a value may be learnt by heart: no ids or amounts, which belong to one case."""
    if isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value) <= 200 and not (
            "@" in value or (len(value.split()) == 1 and any(map(str.isdigit, value)))
        )
    return bool(abs(value) <= 10)


def knowledge_of(rows: list[tuple[Conversation, Turn]]) -> dict[str, Knowledge]:
    """Shapes and frequent values of every slot that the rows fill."""
    seen: dict[str, Counter[Any]] = {}
    for conversation, answer in rows:
        tools = {tool.name: tool for tool in conversation.tools}
        for call in answer.calls:
            tool = tools.get(call.name)
            for slot in slots_of(tool) if tool else ():
                if slot.name in call.arguments:
                    for path, value in _values(slot, call.arguments[slot.name]):
                        seen.setdefault(path, Counter())[(type(value).__name__, value)] += 1
    return {path: _knowledge(counts) for path, counts in sorted(seen.items())}


def _knowledge(counts: Counter[Any]) -> Knowledge:
    total = sum(counts.values())
    shapes: Counter[str] = Counter()
    for (_, value), count in counts.items():
        shapes[shape_of(value) if isinstance(value, str) else "num"] += count
    kept = [
        shape for shape, count in sorted(shapes.items(), key=lambda i: (-i[1], i[0])) if count >= 0.03 * total
    ]
    often = [(value, n) for (_, value), n in counts.items() if n >= 2 and _may_repeat(value)]
    often.sort(key=lambda item: (-item[1], key_of(item[0])))
    return Knowledge(frozenset(kept[:MAX_SHAPES]), tuple(value for value, _ in often[:MAX_CONSTANTS]))


def choices_of(view: View, answer: Turn, known: Mapping[str, Knowledge], ranker: Ranker) -> list[Choice]:
    """The choices behind an answer's arguments; values that stand nowhere teach nothing and are left out."""
    tools = {tool.name: tool for tool in view.conversation.tools}
    made: list[Choice] = []
    for call in answer.calls:
        tool = tools.get(call.name)
        taken: dict[str, Taken] = {}
        for slot in learnt_slots(tool, known) if tool else ():
            found = candidates_for(slot, view, taken)
            if slot.name in call.arguments:
                wanted = same_value(slot, call.arguments[slot.name])
                right = [
                    i for i, c in enumerate(found) if c.value is not ABSENT and key_of(c.value) == wanted
                ]
                taken[slot.name] = Taken(wanted, frozenset(found[right[0]].places) if right else frozenset())
            else:
                right = [i for i, c in enumerate(found) if c.value is ABSENT]
            if right and len(found) > 1:
                rows = ranker.rows([(each.codes, each.words) for each in found], salts(slot))
                made.append(Choice(rows, np.array([c.prior for c in found]), right[0]))
    return made


def lessons_of(
    rows: list[tuple[Conversation, Turn]],
    capacity: Capacity,
    *,
    known: Mapping[str, Knowledge],
    ranker: Ranker,
    buckets: int,
    labels: frozenset[str],
) -> list[Lesson]:
    """One lesson for each row."""
    lessons = []
    for conversation, answer in rows:
        view = look(conversation, capacity)
        label = label_of(conversation, answer, labels)
        choices = choices_of(view, answer, known, ranker)
        said = conversation.last("user")
        reply = with_blanks(answer.text, said) if not answer.calls and not label else ""
        moment = moment_codes(view) if reply else []
        lessons.append(Lesson(features_of(view, buckets), label, choices, reply, moment))
    return lessons
