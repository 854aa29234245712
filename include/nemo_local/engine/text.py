"""Words, shapes and hashes: what the models see of a text.

Everything is a 32-bit integer derived with CRC-32, so that features need no vocabulary and are the same in
every process and on every machine.
"""

import re
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np

_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SUFFIXES = ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s")
STOP_WORDS = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "do", "does",
        "for", "from", "had", "has", "have", "i", "i'd", "i'll", "i'm", "i've", "if", "in", "is", "it",
        "it's", "its", "just", "me", "my", "of", "on", "or", "our", "please", "so", "some", "such",
        "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "up",
        "was", "we", "were", "what", "when", "which", "will", "with", "would", "you", "your",
    }
)  # fmt: skip
MASK = 0xFFFFFFFF


def stem(word: str) -> str:
    """The word without a common English ending; short words stay."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=32768)
def _stemmed(word: str) -> str:
    return stem(word)


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Stemmed lower-case words in order, digits reduced to their count so that ids do not become words."""
    found = _WORD.findall(text.lower())
    return tuple(_stemmed(w) if w.isalpha() or "'" in w else f"#{min(len(w), 9)}" for w in found)


@lru_cache(maxsize=4096)
def content_words(text: str) -> tuple[str, ...]:
    """`words` without stop words and numbers."""
    return tuple(w for w in words(text) if w not in STOP_WORDS and w[0] != "#")


@lru_cache(maxsize=8192)
def name_words(name: str) -> tuple[str, ...]:
    """The words of an identifier (`update_reservation_flights`, `orderId`)."""
    return words(_CAMEL.sub(" ", name).replace("_", " ").replace("-", " ").replace(".", " "))


@lru_cache(maxsize=131072)
def code(feature: str) -> int:
    """A stable 32-bit number of a feature's name."""
    return crc32(feature.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=8192)
def word_codes(text: str, words_read: int, pairs: bool) -> np.ndarray:
    """Codes of the distinct newest words of a text (and pairs of neighbours), as uint64 for mixing."""
    found = words(text)[-words_read:]
    names = set(found)
    if pairs:
        names.update(f"{a} {b}" for a, b in pairwise(found))
    return np.array(sorted(code(name) for name in names), dtype=np.uint64)


def mix(codes: np.ndarray, salt: int) -> np.ndarray:
    """Feature codes crossed with another feature: each pair gets a number of its own (splitmix-like)."""
    mixed = (codes ^ np.uint64(salt * 0x9E3779B1 & MASK)) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(29))) >> np.uint64(16)
