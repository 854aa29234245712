"""Mappings of the Elasticsearch stand-in: what of a document becomes searchable, and what is refused."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

KEYWORD, TEXT, DATE = "keyword", "text", "date"
WHOLE = {"long", "integer", "short", "byte"}
FLOATING = {"double", "float", "half_float"}
NUMBERS = WHOLE | FLOATING
KNOWN = {KEYWORD, TEXT, DATE, "boolean"} | NUMBERS
MAX_KEYWORD_BYTES = 32766


class Refused(Exception):
    """An answer that is an error: HTTP status, type and reason as Elasticsearch words them."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.kind, self.reason = status, kind, reason

    def body(self) -> dict[str, Any]:
        cause = {"type": self.kind, "reason": self.reason}
        return {"error": {"root_cause": [cause], **cause}, "status": self.status}


def unparsable(field: str, kind: str, value: Any) -> Refused:
    reason = f"failed to parse field [{field}] of type [{kind}]: '{value!r:.60}'"
    return Refused(400, "document_parsing_exception", reason)


class Mapping:
    """The properties of one index; grows with the documents where it is dynamic."""

    def __init__(self, body: dict[str, Any] | None = None, *, ignore_malformed: bool = False) -> None:
        body = body or {}
        self._ignore_malformed = ignore_malformed
        unknown = set(body) - {"properties", "dynamic", "_meta", "date_detection", "_source"}
        if unknown:
            raise Refused(400, "mapper_parsing_exception", f"unsupported parameters: {sorted(unknown)}")
        self.dynamic = str(body.get("dynamic", "true")).lower()
        self.properties: dict[str, Any] = body.get("properties", {})
        self.fields: dict[str, dict[str, Any]] = {}
        self._enter("", self.properties)

    def _enter(self, prefix: str, properties: dict[str, Any]) -> None:
        for name, spec in properties.items():
            path = f"{prefix}{name}"
            if "properties" in spec or spec.get("type") == "object":
                self.fields[path] = {"type": "object", **spec}
                self._enter(f"{path}.", spec.get("properties", {}))
                continue
            if spec.get("type") not in KNOWN:
                reason = f"No handler for type [{spec.get('type')}] declared on field [{name}]"
                raise Refused(400, "mapper_parsing_exception", reason)
            self.fields[path] = spec
            for sub, sub_spec in spec.get("fields", {}).items():
                self.fields[f"{path}.{sub}"] = sub_spec

    def values(self, document: dict[str, Any]) -> dict[str, list[Any]]:
        """Field → searchable values. Raises Refused where a value does not fit its field."""
        found: dict[str, list[Any]] = {}
        self._collect("", document, found)
        return found

    def _collect(self, prefix: str, document: dict[str, Any], found: dict[str, list[Any]]) -> None:
        for name, value in document.items():
            path = f"{prefix}{name}"
            if value is None or value == []:
                continue
            spec = self.fields.get(path) or self._guess(path, value)
            if spec is None or spec.get("enabled") is False:
                continue
            for one in value if isinstance(value, list) else [value]:
                self._enter_value(path, spec, one, found)

    def _enter_value(self, path: str, spec: dict[str, Any], value: Any, found: dict[str, list[Any]]) -> None:
        if value is None:
            return
        if spec["type"] == "object":
            if not isinstance(value, dict):
                reason = (
                    f"object mapping for [{path}] tried to parse field as object, but found a concrete value"
                )
                raise Refused(400, "document_parsing_exception", reason)
            self._collect(f"{path}.", value, found)
            return
        if self._ignore_malformed:
            spec = {"ignore_malformed": True, **spec}
        indexed = convert(path, spec, value)
        if indexed is not None:
            found.setdefault(path, []).append(indexed)
        for sub, sub_spec in spec.get("fields", {}).items():
            again = convert(f"{path}.{sub}", sub_spec, value)
            if again is not None:
                found.setdefault(f"{path}.{sub}", []).append(again)

    def _guess(self, path: str, value: Any) -> dict[str, Any] | None:
        """Dynamic mapping of a field that is seen for the first time."""
        if self.dynamic == "false":
            return None
        if self.dynamic == "strict":
            raise Refused(400, "strict_dynamic_mapping_exception", f"introduction of [{path}] is not allowed")
        first = next((one for one in value if one is not None), None) if isinstance(value, list) else value
        if isinstance(first, bool):
            spec: dict[str, Any] = {"type": "boolean"}
        elif isinstance(first, int):
            spec = {"type": "long"}
        elif isinstance(first, float):
            spec = {"type": "float"}
        elif isinstance(first, str):
            spec = {"type": TEXT, "fields": {KEYWORD: {"type": KEYWORD, "ignore_above": 256}}}
        elif isinstance(first, dict):
            spec = {"type": "object"}
        else:
            return None
        self._enter(path.rpartition(".")[0] + "." if "." in path else "", {path.rpartition(".")[2]: spec})
        return self.fields[path]


def convert(path: str, spec: dict[str, Any], value: Any) -> Any:
    """The searchable form of one value; None when it is kept out of the index."""
    kind = spec["type"]
    if kind in (KEYWORD, TEXT):
        if isinstance(value, dict | list):
            raise unparsable(path, kind, value)
        text = (
            value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        )
        if kind == TEXT:
            return frozenset(re.findall(r"\w+", text.lower()))
        if len(text) > spec.get("ignore_above", 2**31):
            return None
        if len(text.encode("utf-8", "surrogatepass")) > MAX_KEYWORD_BYTES:
            raise Refused(400, "document_parsing_exception", f"immense term in field [{path}]")
        return text
    if kind == "boolean":
        if value not in (True, False, "true", "false", ""):
            raise unparsable(path, kind, value)
        return value in (True, "true")
    return to_millis(path, spec, value) if kind == DATE else _number(path, kind, value, spec)


def _number(path: str, kind: str, value: Any, spec: dict[str, Any]) -> float | int | None:
    try:
        if isinstance(value, dict):
            # Objects are refused even where malformed values are ignored.
            raise unparsable(path, kind, value)
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        if kind in WHOLE:
            if not -(2**63) <= number < 2**63:
                raise ValueError
            return int(value) if isinstance(value, int) else int(number)
        if number in (float("inf"), float("-inf")) or number != number:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        if spec.get("ignore_malformed"):
            return None
        raise unparsable(path, kind, value) from None
    return number


def to_millis(path: str, spec: dict[str, Any], value: Any) -> int | None:
    """Unix milliseconds of a date field's value, by the field's formats."""
    formats = spec.get("format", "strict_date_optional_time||epoch_millis").split("||")
    for name in formats:
        try:
            if isinstance(value, bool):
                break
            if name in ("epoch_millis", "epoch_second"):
                return int(float(value) * (1 if name == "epoch_millis" else 1000))
            if name == "strict_date_optional_time" and isinstance(value, str):
                moment = datetime.fromisoformat(value)
                return int(moment.timestamp() * 1000)
        except (TypeError, ValueError, OverflowError):
            continue
    if spec.get("ignore_malformed"):
        return None
    raise unparsable(path, DATE, value)
