"""Search answers decoded without decoding the documents in them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson
from elasticsearch import SerializationError
from elasticsearch.serializer import JsonSerializer


class Hit(msgspec.Struct, rename={"index": "_index", "id": "_id", "source": "_source"}):
    """One search hit; `source` is the JSON of the document as it was sent."""

    index: str
    id: str
    source: msgspec.Raw = msgspec.Raw()
    sort: list[int | float | str | None] = []


class Hits(msgspec.Struct):
    """The `hits` of a search."""

    hits: list[Hit]
    total: dict[str, Any] | None = None


_TOP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_HITS = msgspec.json.Decoder(Hits)


class HitsSerializer(JsonSerializer):
    """Of the client: `hits` of a search become a list of `Hit`; everything else plain objects.

    Decoding a document and encoding it again would cost several times what reading it costs, and could
    change it.
    """

    def loads(self, data: bytes) -> Any:
        """The decoded answer. Raises SerializationError, which does not repeat what was answered."""
        if not data:
            return None
        try:
            if b'"hits"' not in data:
                return orjson.loads(data)
            try:
                answer: dict[str, Any] = dict(_TOP.decode(data))
                for key, raw in answer.items():
                    answer[key] = _HITS.decode(raw) if key == "hits" else orjson.loads(bytes(raw))
            except msgspec.DecodeError:
                return _leniently(data)
        except (ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
            raise SerializationError(
                f"an answer of {len(data)} bytes is not the JSON of Elasticsearch ({type(error).__name__})"
            ) from error
        return answer

    def json_dumps(self, data: Any) -> bytes:
        """The bytes of a request's body."""
        return orjson.dumps(data, default=self.default)


def _leniently(data: bytes) -> dict[str, Any]:
    """An answer with a text that is no Unicode (half of a surrogate pair), which Elasticsearch takes.

    One such document must not hide the others of its page; it is passed on with the same escapes.
    """
    answer: dict[str, Any] = json.loads(data)
    found = answer["hits"]
    hits = [
        Hit(
            index=hit["_index"],
            id=hit["_id"],
            source=msgspec.Raw(json.dumps(hit["_source"]).encode()) if "_source" in hit else msgspec.Raw(),
            sort=hit.get("sort", []),
        )
        for hit in found["hits"]
    ]
    answer["hits"] = Hits(hits=hits, total=found.get("total"))
    return answer


def document_line(hit: Hit) -> bytes | None:
    """The document of a hit in one line; None when the index does not keep documents.

    A line break can only be white space between the tokens: inside of texts JSON escapes it.
    """
    source = bytes(hit.source)
    if not source:
        return None
    return source.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
