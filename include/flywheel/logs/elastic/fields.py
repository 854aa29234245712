"""How the indices behind a name hold the fields that a query needs: exact ids and a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.errors import TEMPLATE_COMMAND, telling

IDS = ("client_id", "workload_id")
TIME = "timestamp"
_KEYWORDS = {"keyword", "constant_keyword", "wildcard"}
_TIMES = {"date", "long"}
SUBFIELD_CHARACTERS = 256
"""Longer texts are left out of a `.keyword` sub-field that Elasticsearch made by itself."""

Capabilities = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class IdFields:
    """For each id, the indices where it is text, so that its `.keyword` sub-field is asked."""

    as_text: dict[str, frozenset[str]]
    indices: frozenset[str]

    def exact(self, field: str, value: str) -> dict[str, Any]:
        """The query for documents whose `field` is exactly `value`. Raises DataError where it cannot be."""
        text = self.as_text[field]
        if not text:
            return {"term": {field: value}}
        if len(value) > SUBFIELD_CHARACTERS:
            raise DataError(
                f"`{field}` = {value[:40]!r}… has {len(value)} characters, but index {sorted(text)[0]!r} "
                f"looks up no more than {SUBFIELD_CHARACTERS}; reindex into one with the template: "
                f"{TEMPLATE_COMMAND}"
            )
        by_subfield = {"term": {f"{field}.keyword": value}}
        if text == self.indices:
            return by_subfield
        # A term on analysed text would find its single words.
        elsewhere = {
            "bool": {"filter": [{"term": {field: value}}], "must_not": [{"terms": {"_index": sorted(text)}}]}
        }
        return {"bool": {"should": [elsewhere, by_subfield], "minimum_should_match": 1}}

    def to_group_by(self, field: str) -> str:
        """The field to aggregate on. Raises DataError where the indices differ."""
        text = self.as_text[field]
        if text and text != self.indices:
            raise DataError(
                f"`{field}` is text in {sorted(text)[0]!r} and a keyword in other indices, which cannot be "
                "counted together; name one kind in extra `index` of the connection"
            )
        return f"{field}.keyword" if text else field


def look_up(client: Elasticsearch, index: str) -> IdFields:
    """What the mapping of `index` (a name, a data stream or a pattern) says.

    Raises DataError when there is no such index, or when ids or times cannot be looked up in it.
    """
    wanted = [*IDS, *(f"{field}.keyword" for field in IDS), TIME]
    with telling(index, "reading the mapping"):
        answer = client.field_caps(index=index, fields=wanted, include_unmapped=True)
    names = frozenset([answer["indices"]] if isinstance(answer["indices"], str) else answer["indices"])
    if not names:
        raise DataError(
            f"no index is called {index!r}: load records, which makes it, or install its template with "
            f"{TEMPLATE_COMMAND}; extra `index` of the connection names it"
        )
    fields = answer["fields"]
    as_text = {field: _text_indices(field, fields, names) for field in IDS}
    _check_types(TIME, fields.get(TIME, {}), names, _TIMES)

    def holds_any(unmapped: frozenset[str]) -> bool:
        with telling(index, "counting"):
            return bool(client.count(index=",".join(sorted(unmapped)))["count"])

    for field in (*IDS, TIME):
        _check_mapped(field, fields.get(field, {}), names, holds_any)
    return IdFields(as_text, names)


def _of_types(capabilities: Capabilities, names: frozenset[str], kinds: set[str]) -> frozenset[str]:
    found: set[str] = set()
    for kind in kinds & set(capabilities):
        among = capabilities[kind].get("indices", names)
        found |= {among} if isinstance(among, str) else set(among)
    return frozenset(found)


def _text_indices(field: str, fields: dict[str, Capabilities], names: frozenset[str]) -> frozenset[str]:
    capabilities = fields.get(field, {})
    _check_types(field, capabilities, names, _KEYWORDS | {"text"})
    text = _of_types(capabilities, names, {"text"})
    without = text - _of_types(fields.get(f"{field}.keyword", {}), names, _KEYWORDS)
    if without:
        raise DataError(
            f"index {sorted(without)[0]!r}: `{field}` is analysed text without a `.keyword` sub-field, so "
            f"exact ids cannot be found; install the template ({TEMPLATE_COMMAND}) and reindex into a new "
            "index"
        )
    return text


def _check_types(field: str, capabilities: Capabilities, names: frozenset[str], fitting: set[str]) -> None:
    for kind in sorted(set(capabilities) - fitting - {"unmapped"}):
        where = sorted(_of_types(capabilities, names, {kind}))[0]
        raise DataError(
            f"index {where!r}: `{field}` is mapped as {kind!r}, which must be one of {sorted(fitting)}; "
            f"install the template ({TEMPLATE_COMMAND}) and reindex into a new index"
        )


def _check_mapped(
    field: str, capabilities: Capabilities, names: frozenset[str], holds_any: Callable[[frozenset[str]], bool]
) -> None:
    unmapped = names - _of_types(capabilities, names, set(capabilities) - {"unmapped"})
    if unmapped and holds_any(unmapped):
        raise DataError(
            f"index {sorted(unmapped)[0]!r} holds documents but does not index `{field}`, so they cannot be "
            f"found; install the template ({TEMPLATE_COMMAND}) and reindex, or narrow extra `index` of the "
            "connection"
        )
