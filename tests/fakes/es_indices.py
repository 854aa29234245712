"""Indices, data streams, templates and documents of the Elasticsearch stand-in, in memory."""

from __future__ import annotations

import fnmatch
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from es_mapping import Mapping, Refused

MAX_ID_BYTES = 512
_LEGAL_NAME = re.compile(r"^[^-_+A-Z\\/*?\"<>| ,#:][^A-Z\\/*?\"<>| ,#:]*$")


class Document:
    """One stored document: `source` is what was sent, byte for byte."""

    __slots__ = ("_index", "id", "order", "source", "stored_at", "values")

    def __init__(
        self, index: Index, doc_id: str, source: bytes, values: dict[str, list[Any]], order: int
    ) -> None:
        self._index, self.id, self.source, self.values, self.order = index, doc_id, source, values, order
        self.stored_at = time.monotonic()

    @property
    def index(self) -> str:
        return self._index.name

    def remove(self) -> None:
        self._index.forget(self)

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        return self._index.mapping.fields


class Index:
    """One index. Documents are found by searches once the index was refreshed after them."""

    def __init__(self, name: str, body: dict[str, Any], number: int) -> None:
        self.name, self.number = name, number
        settings = body.get("settings", {})
        settings = settings.get("index", settings)
        self.mapping = Mapping(
            body.get("mappings"), ignore_malformed=settings.get("index.mapping.ignore_malformed", False)
        )
        self.shards = int(settings.get("number_of_shards", 1))
        self.refresh_seconds = 1.0
        self.documents: list[Document] = []
        self.by_id: dict[str, Document] = {}
        self.stream: str | None = None
        self._searchable = 0

    def create(self, doc_id: str | None, source: bytes) -> Document:
        doc_id = uuid4().hex[:20] if doc_id is None else doc_id
        if len(doc_id.encode()) > MAX_ID_BYTES:
            reason = f"id [{doc_id}] is too long, must be no longer than 512 bytes but was: {len(doc_id)};"
            raise Refused(400, "action_request_validation_exception", reason)
        if doc_id in self.by_id:
            reason = f"[{doc_id}]: version conflict, document already exists (current version [1])"
            raise Refused(409, "version_conflict_engine_exception", reason)
        document = self._parse(doc_id, source)
        self.documents.append(document)
        self.by_id[doc_id] = document
        return document

    def replace(self, doc_id: str | None, source: bytes) -> tuple[Document, bool]:
        old = self.by_id.pop(doc_id, None) if doc_id is not None else None
        if old is not None:
            self.documents = [one for one in self.documents if one is not old]
            self._searchable = min(self._searchable, len(self.documents))
        return self.create(doc_id, source), old is not None

    def forget(self, document: Document) -> None:
        del self.by_id[document.id]
        self.documents = [one for one in self.documents if one is not document]
        self._searchable = min(self._searchable, len(self.documents))

    def _parse(self, doc_id: str, source: bytes) -> Document:
        try:
            body = json.loads(source)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "document_parsing_exception", f"failed to parse: {error}") from None
        if not isinstance(body, dict):
            raise Refused(
                400, "document_parsing_exception", "failed to parse: malformed, must start with an object"
            )
        if self.stream and "@timestamp" not in body:
            reason = "data stream timestamp field [@timestamp] is missing"
            raise Refused(400, "document_parsing_exception", reason)
        order = self.number << 32 | len(self.documents)
        return Document(self, doc_id, source, self.mapping.values(body), order)

    def refresh(self) -> None:
        self._searchable = len(self.documents)

    def visible(self) -> list[Document]:
        """What a search that begins now can find."""
        horizon = time.monotonic() - self.refresh_seconds
        while self._searchable < len(self.documents) and self.documents[self._searchable].stored_at < horizon:
            self._searchable += 1
        return self.documents[: self._searchable]


class Indices:
    """Everything that a cluster holds."""

    def __init__(self) -> None:
        self.indices: dict[str, Index] = {}
        self.streams: dict[str, list[str]] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self._numbers = 0

    def add(self, name: str, body: dict[str, Any], *, stream: str | None = None) -> Index:
        if stream is None:
            if not _LEGAL_NAME.match(name) or len(name.encode()) > 255:
                raise Refused(400, "invalid_index_name_exception", f"Invalid index name [{name}]")
            if name in self.indices or name in self.streams:
                raise Refused(400, "resource_already_exists_exception", f"index [{name}] already exists")
            template = self.template_of(name)
            if template and "data_stream" in template:
                reason = (
                    f"cannot create index with name [{name}], because it matches with a template that "
                    "creates data streams only, use create data stream api instead"
                )
                raise Refused(400, "illegal_argument_exception", reason)
        else:
            template = self.template_of(stream)
        merged = _merge((template or {}).get("template", {}), body)
        self._numbers += 1
        index = Index(name, merged, self._numbers)
        index.stream = stream
        self.indices[name] = index
        return index

    def add_stream(self, name: str) -> Index:
        template = self.template_of(name)
        if not template or "data_stream" not in template:
            raise Refused(
                400,
                "illegal_argument_exception",
                f"no matching index template found for data stream [{name}]",
            )
        self.streams.setdefault(name, [])
        return self.roll_over(name)

    def roll_over(self, name: str) -> Index:
        day = datetime.now(tz=UTC).strftime("%Y.%m.%d")
        backing = f".ds-{name}-{day}-{len(self.streams[name]) + 1:06}"
        self.streams[name].append(backing)
        return self.add(backing, {}, stream=name)

    def remove(self, pattern: str) -> None:
        for index in self.resolve(pattern):
            del self.indices[index.name]
        self.streams.pop(pattern, None)

    def to_write(self, name: str, action: str) -> Index:
        """The index that a write goes to; made where a write makes it."""
        if name in self.streams:
            if action != "create":
                reason = "only write ops with an op_type of create are allowed in data streams"
                raise Refused(400, "illegal_argument_exception", reason)
            return self.indices[self.streams[name][-1]]
        if name in self.indices:
            return self.indices[name]
        template = self.template_of(name)
        if template and "data_stream" in template:
            self.add_stream(name)
            return self.to_write(name, action)
        return self.add(name, {})

    def template_of(self, name: str) -> dict[str, Any] | None:
        fitting = [
            one
            for one in self.templates.values()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in one["index_patterns"])
        ]
        return max(fitting, key=lambda one: one.get("priority", 0), default=None)

    def resolve(self, pattern: str, *, lenient: bool = False) -> list[Index]:
        """The indices that a name, a list of names or a pattern means."""
        found: dict[str, Index] = {}
        for name in pattern.split(","):
            chosen = list(self._named(name))
            if not chosen and "*" not in name and name != "_all" and not lenient:
                raise Refused(404, "index_not_found_exception", f"no such index [{name}]")
            found.update((index.name, index) for index in chosen)
        return list(found.values())

    def _named(self, name: str) -> Iterator[Index]:
        if name in self.indices:
            yield self.indices[name]
            return
        pattern = "*" if name == "_all" else name
        for index in list(self.indices.values()):
            shown = index.stream or index.name
            if shown == name or ("*" in pattern and fnmatch.fnmatchcase(shown, pattern)):
                yield index


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
