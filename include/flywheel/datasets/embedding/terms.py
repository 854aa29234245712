"""The words of a text, as likeness counts them."""

from __future__ import annotations

import hashlib
import re

from include.flywheel.datasets.icl.similarity import TERMS

_TERM = re.compile(TERMS)


def terms(text: str) -> list[str]:
    """Words in lower case; ideographs, kana and syllables one by one."""
    return _TERM.findall(text.casefold())


def query_digest(query: str) -> bytes:
    """16 bytes that stand for a query: case, blanks and punctuation do not make another one."""
    found = terms(query)
    return _digest(" ".join(found) if found else query)


def document_digest(text: str) -> bytes:
    """16 bytes that stand for a document."""
    return _digest(text)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
