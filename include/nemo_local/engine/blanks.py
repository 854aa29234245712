"""Learnt answers without the values of their case: "order SO-1 is paid" becomes "order ___ is paid".

A value is a word with a digit, of three characters or more, or an e-mail address. One that the user had said
is left blank in the answer; a later answer takes the value that stands in its place: the same shape, and as
many of that shape before it.
"""

import re
from collections import Counter
from collections.abc import Iterator

from include.nemo_local.engine.atoms import shape_of

_VALUE = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?=[^\W\d]*[-_/#]?[^\W\d]*\d)\w(?:[\w/#-]*\w)?")
_BLANK = re.compile("\0([^\0]*)\0(\\d+)\0")
_SHORTEST = 3


def _values(text: str) -> Iterator[tuple[str, str, int]]:
    """Each different value in order, its shape, and how many of that shape came before."""
    met: Counter[str] = Counter()
    for value in dict.fromkeys(match[0] for match in _VALUE.finditer(text)):
        if len(value) >= _SHORTEST:
            shape = shape_of(value)
            yield value, shape, met[shape]
            met[shape] += 1


def with_blanks(answer: str, said: str) -> str:
    """The answer with every value that was said left blank."""
    answer = answer.replace("\0", "")
    for value, shape, place in sorted(_values(said), key=lambda found: -len(found[0])):
        whole = rf"(?<![\w\0]){re.escape(value)}(?![\w\0])"
        answer = re.sub(whole, f"\0{shape}\0{place}\0", answer)
    return answer


def filled(answer: str, said: str) -> str | None:
    """The answer with its blanks filled by what is said now; None where a value is missing."""
    if "\0" not in answer:
        return answer
    values = {(shape, str(place)): value for value, shape, place in _values(said)}
    if any((shape, place) not in values for shape, place in _BLANK.findall(answer)):
        return None
    return _BLANK.sub(lambda blank: values[blank[1], blank[2]], answer)
