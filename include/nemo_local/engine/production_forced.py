"""A call that `tool_choice` demands although the agent would not have made it: arguments as far as known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.nemo_local.engine.production_matter import Matter, Use
from include.nemo_local.engine.production_reading import ACCOUNT, EMAIL, QUANTITY, SKU, newest

_NAMED = {"email": EMAIL, "sku": SKU, "account_no": ACCOUNT, "quantity": QUANTITY}
_EMPTY: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def forced_use(name: str, schema: Mapping[str, Any], matter: Matter) -> Use:
    """The call with every required parameter: as named in the conversation, else a first or empty value."""
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return Use(name, {})
    keys = [key for key in required if isinstance(key, str)]
    return Use(name, {key: _value(key, properties.get(key), matter) for key in keys})


def _value(key: str, schema: object, matter: Matter) -> Any:
    schema = schema if isinstance(schema, dict) else {}
    if key == "order_id" and matter.orders():
        return matter.orders()[0]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    found = newest(_NAMED[key], matter.conversation.user_text) if key in _NAMED else None
    if found is not None:
        return int(found) if kind == "integer" else found
    return _EMPTY.get(str(kind), "")
