"""Raw lines of embedding and retrieval traffic become queries with documents, or passages, or a reason."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from include.flywheel.datasets.reasons import Invalid, Reason
from include.flywheel.logs.timestamps import to_milliseconds

USED = ("used", "cited", "clicked")
"""Any of these, true, says that a retrieved document was of use."""


class Document(NamedTuple):
    """A document as it was retrieved: title and text as one, the application's name for it, of use or not."""

    text: str
    name: str | None
    used: bool


class Retrieved(NamedTuple):
    """A query, and what was found for it, of which something was used."""

    timestamp_ms: int
    query: str
    stratum: str
    documents: list[Document]


class Passages(NamedTuple):
    """Documents that were embedded: nobody asked for them here, but they can be found."""

    timestamp_ms: int
    texts: list[str]


NO_STRATUM = "(none)"


def read_line(line: bytes, stratum_field: str | None = None) -> Retrieved | Passages | Reason:
    """What a line of the log says, or the first reason why it cannot be used.

    :param stratum_field: the top-level field that the split is stratified by.
    """
    try:
        return _read(line, stratum_field)
    except Invalid as invalid:
        return invalid.reason
    except orjson.JSONDecodeError:
        return Reason.NOT_JSON if line.endswith(b"\n") else Reason.TORN


def _read(line: bytes, stratum_field: str | None) -> Retrieved | Passages:
    document = orjson.loads(line)
    if not isinstance(document, dict):
        raise Invalid(Reason.NOT_OBJECT)
    timestamp_ms = to_milliseconds(document.get("timestamp"))
    if timestamp_ms is None:
        raise Invalid(Reason.NO_TIMESTAMP)
    request, response = document.get("request"), document.get("response")
    if document.get("error") or (isinstance(response, dict) and response.get("error")):
        raise Invalid(Reason.FAILED_CALL)
    if not request:
        raise Invalid(Reason.NO_REQUEST)
    if not isinstance(request, dict):
        raise Invalid(Reason.BAD_REQUEST)
    texts = _input(request)
    if request.get("input_type") == "passage":
        return Passages(timestamp_ms, texts)
    if len(texts) != 1:
        raise Invalid(Reason.SEVERAL_QUERIES)
    stratum = document.get(stratum_field) if stratum_field else None
    return Retrieved(timestamp_ms, texts[0], _stratum(stratum), _documents(response))


def _input(request: dict[str, Any]) -> list[str]:
    said = request.get("input")
    if said is None and request.get("messages") is not None:
        raise Invalid(Reason.CHAT)
    if said is None:
        raise Invalid(Reason.NO_INPUT)
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not texts or not all(map(_is_text, texts)):
        raise Invalid(Reason.BAD_INPUT)
    return [text.strip() for text in texts]


def _documents(response: Any) -> list[Document]:
    found = response.get("documents") if isinstance(response, dict) else None
    if found is None or found == []:
        raise Invalid(Reason.NO_DOCUMENTS)
    if not isinstance(found, list):
        raise Invalid(Reason.BAD_DOCUMENT)
    documents = [_document(one) for one in found]
    if not any(one.used for one in documents):
        raise Invalid(Reason.NONE_USED)
    return documents


def _document(found: Any) -> Document:
    if not isinstance(found, dict) or not _is_text(found.get("text")):
        raise Invalid(Reason.BAD_DOCUMENT)
    title, name = found.get("title"), found.get("id")
    if not isinstance(title, str | None) or not isinstance(name, str | int | None) or isinstance(name, bool):
        raise Invalid(Reason.BAD_DOCUMENT)
    used = [found[word] for word in USED if word in found]
    if not all(isinstance(value, bool | None) for value in used):
        raise Invalid(Reason.BAD_DOCUMENT)
    text = " ".join(part.strip() for part in (title or "", found["text"]) if part.strip())
    return Document(text, None if name is None else str(name), any(used))


def _stratum(value: Any) -> str:
    if isinstance(value, str):
        return value.strip() or NO_STRATUM
    return str(value) if isinstance(value, int | float) else NO_STRATUM


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
