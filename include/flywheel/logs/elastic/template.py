"""The index template of log records: printed, installed, or used for an index that a load makes."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import orjson
from elasticsearch import ApiError, Elasticsearch

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.errors import kind_of, telling

TEMPLATE_NAME = "flywheel"
DATA_STREAM_TIME = "@timestamp"


def index_template(index: str, *, data_stream: bool = False) -> dict[str, Any]:
    """The body of `PUT _index_template/…` for an index, or a pattern of indices.

    :param data_stream: writes make a data stream; its documents carry `@timestamp` as well.
    """
    content = files("include.flywheel.logs.elastic").joinpath("index_template.json").read_bytes()
    template: dict[str, Any] = orjson.loads(content)
    template["index_patterns"] = [index]
    if data_stream:
        template["data_stream"] = {}
        properties = template["template"]["mappings"]["properties"]
        properties[DATA_STREAM_TIME] = {"type": "date", "format": "strict_date_optional_time||epoch_millis"}
    return template


def install(client: Elasticsearch, index: str, *, data_stream: bool = False) -> str:
    """Put the template; what is stored already keeps its mapping. Returns the template's name.

    Raises DataError when Elasticsearch refuses it.
    """
    body = index_template(index, data_stream=data_stream)
    name = TEMPLATE_NAME if index == TEMPLATE_NAME else f"{TEMPLATE_NAME}-{index.replace('*', '').strip('-')}"
    with telling(index, "installing the index template"):
        client.indices.put_index_template(
            name=name,
            index_patterns=body["index_patterns"],
            priority=body["priority"],
            template=body["template"],
            data_stream=body.get("data_stream"),
            meta=body["_meta"],
        )
    return name


def ensure_index(client: Elasticsearch, index: str) -> int:
    """Make the index where it is missing, mapped as the template says.

    Returns the number of its backing indices when it is a data stream, else 0. Raises DataError when `index`
    is
    a pattern, which cannot be written to, or when the index cannot be made.
    """
    if any(character in index for character in "*,"):
        raise DataError(
            f"index {index!r} is a pattern, which cannot be written to: name one in extra `index`"
        )
    with telling(index, "looking for the index"):
        if client.indices.exists(index=index):
            found = client.indices.resolve_index(name=index)
            streams = found["data_streams"]
            return len(streams[0]["backing_indices"]) if streams else 0
    template = index_template(index)["template"]
    with telling(index, "making the index"):
        try:
            client.indices.create(index=index, settings=template["settings"], mappings=template["mappings"])
        except ApiError as error:
            if kind_of(error) == "resource_already_exists_exception":
                return 0
            if "data stream" not in str(error.body):
                raise
            client.indices.create_data_stream(name=index)
            return 1
    return 0
