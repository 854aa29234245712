"""Whether an installation answers, and whether it is the local stand-in."""

from __future__ import annotations

from typing import Any

from include.nemo.call import Call
from include.nemo.urls import Service


def simulated() -> Call[bool]:
    """GET /health of the base URL. True: the local stand-in. The real services need not know this path."""
    return Call(
        service=Service.ENTITY_STORE,
        name="health",
        method="GET",
        path="/health",
        parse=_is_simulated,
        safe_to_repeat=True,
    )


def _is_simulated(body: Any) -> bool:
    return isinstance(body, dict) and body.get("simulated") is True
