"""Reading what a trigger returned."""

from __future__ import annotations

import json
from typing import Any


def returned_by_trigger(value: Any) -> Any:
    """The value of an XCom that a trigger may have pushed, as it was meant.

    Airflow 3.3 encodes what a trigger pushes twice, so that a task pulls `'"eval-1"'` for `"eval-1"` and
    a JSON text for a dict; what a worker pushes arrives as it is. Text that is neither a JSON string nor
    a JSON object or array is returned unchanged, as are values that are no text.
    """
    if not isinstance(value, str) or value[:1] not in ('"', "{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
