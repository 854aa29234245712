"""The REST interface of the Elasticsearch stand-in, without the network: a request in, an answer out."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from es_faults import Fault
from es_indices import Index, Indices
from es_mapping import DATE, KEYWORD, Refused
from es_search import Searches

Answer = tuple[int, Any]
Parameters = dict[str, str]


class Cluster:
    """Answers requests one at a time."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.indices = Indices()
        self.searches = Searches(self.indices)
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, params: Parameters, body: bytes, fault: Fault | None) -> Answer:
        """Status and JSON of one request."""
        try:
            with self._lock:
                if path.rstrip("/").endswith("/_bulk") and method in ("POST", "PUT"):
                    return self._bulk(
                        unquote(path.strip("/").removesuffix("_bulk").strip("/")), params, body, fault
                    )
                for pattern, methods, handler in _ROUTES:
                    found = re.fullmatch(pattern, path)
                    if found and method in methods:
                        names = [unquote(part) for part in found.groups()]
                        return handler(self, method, names, params, body)
        except Refused as refused:
            return refused.status, refused.body()
        reason = f"no handler found for uri [{path}] and method [{method}]"
        return 400, {"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400}

    def _info(self, _method: str, _names: list[str], _params: Parameters, _body: bytes) -> Answer:
        number = {"number": self.version, "build_flavor": "default"}
        return 200, {
            "name": "fake",
            "cluster_name": "fake",
            "version": number,
            "tagline": "You Know, for Search",
        }

    def _index(self, method: str, names: list[str], _params: Parameters, body: bytes) -> Answer:
        [name] = names
        if method == "PUT":
            self.indices.add(name, _json(body))
            return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
        if method == "DELETE":
            self.indices.remove(name)
            return 200, {"acknowledged": True}
        found = self.indices.resolve(name)
        if not found and method == "HEAD":
            return 404, None
        return 200, {one.name: {"mappings": {"properties": one.mapping.properties}} for one in found}

    def _document(self, method: str, names: list[str], params: Parameters, body: bytes) -> Answer:
        name, kind, *rest = names
        doc_id = rest[0] if rest and rest[0] else None
        if method == "GET":
            found = [one for one in self.indices.resolve(name) if doc_id in one.by_id]
            if not found:
                return 404, {"_index": name, "_id": doc_id, "found": False}
            source = json.loads(found[0].by_id[doc_id or ""].source)
            return 200, {"_index": found[0].name, "_id": doc_id, "found": True, "_source": source}
        action = (
            "create" if kind == "_create" or params.get("op_type") == "create" or doc_id is None else "index"
        )
        status, item = self._write(action, name, doc_id, body)
        self._refresh_if(params, [self.indices.indices[item["_index"]]])
        return status, item

    def _write(self, action: str, name: str, doc_id: str | None, source: bytes) -> tuple[int, dict[str, Any]]:
        index = self.indices.to_write(name, action)
        if action == "create":
            document, replaced = index.create(doc_id, source), False
        else:
            document, replaced = index.replace(doc_id, source)
        status = 200 if replaced else 201
        result = "updated" if replaced else "created"
        return status, {
            "_index": index.name,
            "_id": document.id,
            "_version": 1,
            "result": result,
            "status": status,
        }

    def _bulk(self, default: str, params: Parameters, body: bytes, fault: Fault | None) -> Answer:
        if not body.endswith(b"\n"):
            reason = "The bulk request must be terminated by a newline [\\n]"
            raise Refused(400, "illegal_argument_exception", reason)
        lines = iter(body.split(b"\n")[:-1])
        items, written = [], set()
        refused = fault.count if fault and fault.items else 0
        for line in lines:
            action, target = _action(line)
            source = next(lines, None)
            if source is None:
                raise Refused(
                    400, "illegal_argument_exception", "Malformed action/metadata line: no source follows"
                )
            name, doc_id = target.get("_index") or default, target.get("_id")
            try:
                if refused:
                    refused -= 1
                    raise Refused(
                        int(fault.items or 0), "es_rejected_execution_exception", "rejected execution"
                    )
                _, item = self._write(action, name, doc_id, source)
                written.add(item["_index"])
            except Refused as error:
                cause = {"type": error.kind, "reason": error.reason}
                item = {"_index": name, "_id": doc_id, "status": error.status, "error": cause}
            items.append({action: item})
        self._refresh_if(params, [self.indices.indices[name] for name in written])
        errors = any("error" in one for item in items for one in item.values())
        return 200, {"took": 1, "errors": errors, "items": items}

    def _refresh_if(self, params: Parameters, indices: list[Index]) -> None:
        if params.get("refresh") in ("true", "wait_for", ""):
            for index in indices:
                index.refresh()

    def _refresh(self, _method: str, names: list[str], _params: Parameters, _body: bytes) -> Answer:
        for index in self.indices.resolve(names[0] if names else "_all"):
            index.refresh()
        return 200, {"_shards": {"total": 1, "successful": 1, "failed": 0}}

    def _pit(self, method: str, names: list[str], params: Parameters, body: bytes) -> Answer:
        if method == "DELETE":
            freed = int(self.searches.close(_json(body)["id"]))
            return (200 if freed else 404), {"succeeded": bool(freed), "num_freed": freed}
        if "keep_alive" not in params:
            raise Refused(400, "action_request_validation_exception", "[keep_alive] is not specified;")
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        return 200, {"id": self.searches.open(names[0], params["keep_alive"]), "_shards": shards}

    def _search(self, _method: str, names: list[str], _params: Parameters, body: bytes) -> Answer:
        return 200, self.searches.search(names[0] if names else None, _json(body))

    def _count(self, _method: str, names: list[str], _params: Parameters, body: bytes) -> Answer:
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        return 200, {"count": self.searches.count(names[0], _json(body)), "_shards": shards}

    def _delete_by_query(self, _method: str, names: list[str], params: Parameters, body: bytes) -> Answer:
        asked = _json(body)
        if "query" not in asked:
            raise Refused(400, "action_request_validation_exception", "query is missing;")
        found = self.searches.matching(names[0], asked)
        for document in found:
            document.remove()
        self._refresh_if(params, self.indices.resolve(names[0]))
        return 200, {
            "took": 1,
            "timed_out": False,
            "deleted": len(found),
            "version_conflicts": 0,
            "failures": [],
        }

    def _field_caps(self, _method: str, names: list[str], params: Parameters, body: bytes) -> Answer:
        indices = self.indices.resolve(names[0], lenient=params.get("ignore_unavailable") == "true")
        wanted = _json(body).get("fields") or params["fields"].split(",")
        fields: dict[str, Any] = {}
        for name in [wanted] if isinstance(wanted, str) else wanted:
            by_type: dict[str, list[str]] = {}
            for index in indices:
                spec = index.mapping.fields.get(name)
                by_type.setdefault(spec["type"] if spec else "unmapped", []).append(index.name)
            if set(by_type) == {"unmapped"} or params.get("include_unmapped") != "true":
                by_type.pop("unmapped", None)
            if by_type:
                fields[name] = {kind: _capability(kind, among, by_type) for kind, among in by_type.items()}
        return 200, {"indices": [index.name for index in indices], "fields": fields}

    def _resolve(self, _method: str, names: list[str], _params: Parameters, _body: bytes) -> Answer:
        found = self.indices.resolve(names[0])
        plain = [{"name": one.name, "attributes": ["open"]} for one in found if one.stream is None]
        streams = sorted({one.stream for one in found if one.stream})
        return 200, {
            "indices": plain,
            "aliases": [],
            "data_streams": [
                {"name": name, "backing_indices": self.indices.streams[name], "timestamp_field": "@timestamp"}
                for name in streams
            ],
        }

    def _template(self, method: str, names: list[str], _params: Parameters, body: bytes) -> Answer:
        [name] = names
        if method == "PUT":
            template = _json(body)
            unknown = set(template) - {
                "index_patterns",
                "template",
                "priority",
                "data_stream",
                "_meta",
                "version",
            }
            if unknown or not template.get("index_patterns"):
                reason = f"[index_template] unknown or missing fields: {sorted(unknown)}"
                raise Refused(400, "x_content_parse_exception", reason)
            Index("check", template.get("template", {}), 0)
            self.indices.templates[name] = template
            return 200, {"acknowledged": True}
        if name not in self.indices.templates:
            raise Refused(404, "resource_not_found_exception", f"index template matching [{name}] not found")
        template = self.indices.templates[name]
        return 200, {"index_templates": [{"name": name, "index_template": template}]}

    def _stream(self, method: str, names: list[str], _params: Parameters, _body: bytes) -> Answer:
        if method == "PUT":
            self.indices.add_stream(names[0])
        elif method == "DELETE":
            self.indices.remove(names[0])
        return 200, {"acknowledged": True}

    def _rollover(self, _method: str, names: list[str], _params: Parameters, _body: bytes) -> Answer:
        index = self.indices.roll_over(names[0])
        return 200, {"acknowledged": True, "rolled_over": True, "new_index": index.name}


def _action(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        [(action, target)] = json.loads(line).items()
    except (ValueError, AttributeError):
        raise Refused(400, "illegal_argument_exception", "Malformed action/metadata line") from None
    if action not in ("create", "index"):
        raise Refused(400, "illegal_argument_exception", f"action [{action}] is not known here")
    return action, target


def _json(body: bytes) -> dict[str, Any]:
    try:
        return json.loads(body) if body else {}
    except ValueError as error:
        raise Refused(400, "x_content_parse_exception", str(error)) from None


def _capability(kind: str, among: list[str], by_type: dict[str, list[str]]) -> dict[str, Any]:
    aggregatable = kind not in ("text", "object", "unmapped")
    found: dict[str, Any] = {
        "type": kind,
        "searchable": kind in (KEYWORD, DATE, "text") or aggregatable,
        "aggregatable": aggregatable,
    }
    return found | ({"indices": among} if len(by_type) > 1 else {})


_Handler = Callable[[Any, str, list[str], Parameters, bytes], Answer]
_NAME = r"([^/_][^/]*)"
_ROUTES: list[tuple[str, tuple[str, ...], _Handler]] = [
    (r"/", ("GET", "HEAD"), Cluster._info),
    (r"/_pit", ("DELETE",), Cluster._pit),
    (rf"/{_NAME}/_pit", ("POST",), Cluster._pit),
    (r"/_search", ("GET", "POST"), Cluster._search),
    (rf"/{_NAME}/_search", ("GET", "POST"), Cluster._search),
    (rf"/{_NAME}/_count", ("GET", "POST"), Cluster._count),
    (rf"/{_NAME}/_delete_by_query", ("POST",), Cluster._delete_by_query),
    (rf"/{_NAME}/_refresh", ("GET", "POST"), Cluster._refresh),
    (r"/_refresh", ("GET", "POST"), Cluster._refresh),
    (rf"/{_NAME}/_field_caps", ("GET", "POST"), Cluster._field_caps),
    (r"/_resolve/index/([^/]+)", ("GET", "POST"), Cluster._resolve),
    (r"/_index_template/([^/]+)", ("GET", "PUT", "HEAD"), Cluster._template),
    (r"/_data_stream/([^/]+)", ("PUT", "DELETE"), Cluster._stream),
    (rf"/{_NAME}/_rollover", ("POST",), Cluster._rollover),
    (rf"/{_NAME}/(_doc|_create)/([^/]+)", ("GET", "PUT", "POST"), Cluster._document),
    (rf"/{_NAME}/(_doc)/?", ("POST",), Cluster._document),
    (rf"/{_NAME}/?", ("GET", "PUT", "DELETE", "HEAD"), Cluster._index),
]
