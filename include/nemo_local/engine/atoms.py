"""Values that stand in a message: ids, dates, numbers, names, the leaves of JSON results.

Every message is harvested once and cached by its text: consecutive requests of a conversation share all but
the last.
"""

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from include.nemo_local.engine.text import code

MAX_ATOMS = 600
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_TOKEN = re.compile(
    r"""(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    |(?P<date>\b\d{4}-\d{2}-\d{2}\b)
    |(?P<month>\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?
        \ \d{1,2}(?:st|nd|rd|th)?(?:,?\ \d{4})?)\b
    |(?P<id>\#?\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9][\w-]*\w\b|\b[a-z]+(?:_[a-z]+)+\b|\#\d+)
    |(?P<upper>\b[A-Z]{2,8}\b)
    |(?P<number>-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?)
    |(?P<quoted>"[^"\n]{1,80}"|(?<!\w)'[^'\n]{1,80}'(?!\w)|\u201c[^\u201d\n]{1,80}\u201d)
    |(?P<name>\b[A-Z][^\W\d_]+(?:\ [A-Z][^\W\d_]+(?![\w-]*\d)){0,3})
    |(?P<word>[^\W\d_]+)""",
    re.VERBOSE,
)
_YEAR = re.compile(r"\b(20\d\d)-\d\d-\d\d\b")
_WHOLE_SHAPES = (
    (re.compile(r"-?\d+(?:\.\d+)?"), "num"),
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "date"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*"), "datetime"),
    (re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+"), "email"),
)
_RUNS = (
    (re.compile(r"[A-Z]{2,}|[A-Z](?![a-z])"), "\1"),
    (re.compile(r"[A-Z][a-z]+"), "N"),
    (re.compile(r"[a-z]+"), "a"),
)


@dataclass(frozen=True, slots=True)
class Atom:
    """One value and where it stood.

    `path`: JSON keys with `[]` for lists, "" in prose; `before`: the word before.

    `row` tells the JSON object, or the line of prose, that it shares with its neighbours.
    """

    value: Any
    shape: str
    fine: int
    path: str
    key: str
    before: int
    order: int
    row: int


@dataclass(slots=True)
class Harvest:
    """All atoms of one message by shape and by last key, and the lists and objects of its JSON."""

    by_shape: dict[str, list[Atom]] = field(default_factory=dict)
    by_key: dict[str, list[Atom]] = field(default_factory=dict)
    lists: list[tuple[str, list[Any]]] = field(default_factory=list)
    objects: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    data: Any = None
    is_json: bool = False
    size: int = 0
    rows: int = 0

    def add(self, atom: Atom) -> None:
        """Keeps an atom under its shape and its key."""
        self.size += 1
        self.by_shape.setdefault(atom.shape, []).append(atom)
        if atom.key:
            self.by_key.setdefault(atom.key, []).append(atom)


@lru_cache(maxsize=65536)
def shape_of(value: str) -> str:
    """What a string looks like: `email`, `date`, `num`, `phrase`, `X6` (capitals and digits), `a_a_0`."""
    for pattern, shape in _WHOLE_SHAPES:
        if pattern.fullmatch(value):
            return shape
    if value.isascii() and value.isalnum() and value == value.upper() and len(value) <= 16:
        return f"X{len(value)}"
    if any(c.isspace() for c in value):
        return "phrase"
    for pattern, letter in _RUNS:
        value = pattern.sub(letter, value)
    return re.sub(r"\d+", "0", value.replace("\1", "A"))[:24]


@lru_cache(maxsize=65536)
def fine_shape(value: str) -> int:
    """The code of a string's exact pattern of letters and digits, its first 12 characters."""
    pattern = "".join(
        "0" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in value[:12]
    )
    return code("fine " + re.sub(r"a+", "a", pattern))


def _date_of(text: str, year: str) -> str:
    month = _MONTHS.index(text[:3].lower()) + 1
    numbers = re.findall(r"\d+", text)
    return f"{numbers[1] if len(numbers) > 1 else year}-{month:02d}-{int(numbers[0]):02d}"


def number_of(text: str) -> int | float:
    """A number as JSON would carry it: integers stay integers."""
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain[:18])


def _prose(text: str, year: str, harvest: Harvest) -> None:
    before = ""
    newline, row = text.find("\n"), 0
    for order, match in enumerate(_TOKEN.finditer(text)):
        while 0 <= newline < match.start():
            newline, row = text.find("\n", newline + 1), row + 1
        kind, token = str(match.lastgroup), match.group()
        previous, before = before, token.lower()
        if kind == "word" or harvest.size >= MAX_ATOMS:
            continue
        value: Any = token
        shape = ""
        if kind == "month":
            value, shape = _date_of(token, year), "date"
        elif kind == "number":
            value, shape = number_of(token), "num"
        elif kind == "quoted":
            value = token[1:-1]
        shape = shape or shape_of(value)
        harvest.add(Atom(value, shape, fine_shape(str(value)), "", "", code(previous), order, row))


def _leaf(value: Any, path: str, key: str, harvest: Harvest, row: int) -> None:
    if isinstance(value, bool) or value is None:
        shape = "bool"
    elif isinstance(value, int | float):
        shape = "num"
    else:
        shape = shape_of(value)
    if value is not None and harvest.size < MAX_ATOMS:
        harvest.add(Atom(value, shape, fine_shape(str(value)), path, key, 0, harvest.size, row))


def _json(value: Any, path: str, key: str, depth: int, harvest: Harvest, *, row: int = 0) -> None:
    if depth > 12:
        return
    if isinstance(value, dict):
        harvest.objects.append((path, value))
        harvest.rows += 1
        row = harvest.rows
        for name, inner in value.items():
            short = name
            if sum(map(str.isdigit, name)) >= 3:  # {"credit_card_7721": {...}}: the key is data
                short = "*"
                _leaf(name, f"{path}.*", key, harvest, row)
            _json(inner, f"{path}.{short}" if path else short, short, depth + 1, harvest, row=row)
    elif isinstance(value, list):
        harvest.lists.append((path, value))
        for inner in value:
            _json(inner, path + "[]", key, depth + 1, harvest, row=row)
    else:
        _leaf(value, path, key, harvest, row)


@lru_cache(maxsize=2048)
def harvest(text: str, year: str = "2024") -> Harvest:
    """What stands in a message. `year` completes dates such as "May 20th"."""
    found = Harvest()
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            found.data = json.loads(stripped)
            found.is_json = True
        except (ValueError, RecursionError):
            found.data = None
    if found.is_json:
        _json(found.data, "", "", 0, found)
    else:
        _prose(text, year, found)
    return found


@lru_cache(maxsize=1024)
def year_in(text: str) -> str:
    """The year of the first ISO date of a text, for dates that come without; "" where there is none."""
    match = _YEAR.search(text)
    return match[1] if match else ""
