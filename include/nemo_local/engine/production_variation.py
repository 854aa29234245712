"""What temperature does to the production agent: another answer that a careful agent might have given too."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from include.nemo_local.engine.production_matter import Act, Matter, Say, Use
from include.nemo_local.engine.production_reading import EMAIL, newest

# At the default temperature of 0.7 about one call in eleven then differs from the best one. Answers in text
# stay, so that two draws agree in name and arguments in about nine of ten cases.
SHARE_PER_DEGREE = 0.13
MAX_SHARE = 0.3


def vary(act: Act, matter: Matter, rng: random.Random, temperature: float) -> Act:
    """The agent's best act, or with a share that grows with the temperature a believable other one."""
    others = _alternatives(act, matter)
    if not others or rng.random() >= min(MAX_SHARE, SHARE_PER_DEGREE * temperature):
        return act
    return rng.choice(others)


def _alternatives(act: Act, matter: Matter) -> list[Act]:
    if isinstance(act, Say) or len(act) != 1:
        return []
    make = _OTHERS.get(act[0].name)
    found = make(act[0].arguments, matter) if make else []
    offered = [
        other for other in found if isinstance(other, Say) or all(use.name in matter.offered for use in other)
    ]
    return [other for other in offered if other != act]


def _changed(name: str, arguments: Mapping[str, Any], **changes: Any) -> Act:
    """The same call with other arguments; None takes an argument away."""
    merged = {**arguments, **changes}
    return (Use(name, {key: value for key, value in merged.items() if value is not None}),)


def _get_order(_: Mapping[str, Any], matter: Matter) -> list[Act]:
    email = newest(EMAIL, matter.words)
    looked_up: list[Act] = [(Use("list_orders", {"email": email, "limit": 5}),)] if email else []
    return [Say("confirm"), *looked_up]


def _start_return(arguments: Mapping[str, Any], _: Matter) -> list[Act]:
    return [
        _changed("start_return", arguments, resolution="refund"),
        _changed("start_return", arguments, resolution="store_credit"),
        _changed("start_return", arguments, new_size=None),
        Say("confirm"),
    ]


def _check_return(arguments: Mapping[str, Any], _: Matter) -> list[Act]:
    skipped = {**arguments, "resolution": "store_credit"}
    return [Say("confirm"), (Use("start_return", skipped),)]


def _track_shipment(arguments: Mapping[str, Any], matter: Matter) -> list[Act]:
    told = {"order_id": (matter.orders() or ["it"])[0], "carrier": arguments.get("carrier")}
    return [Say("where_in_transit", told)]


_OTHERS: dict[str, Callable[[Mapping[str, Any], Matter], list[Act]]] = {
    "get_order": _get_order,
    "start_return": _start_return,
    "check_return": _check_return,
    "list_orders": lambda arguments, _: [_changed("list_orders", arguments, limit=3), Say("ask_order")],
    "track_shipment": _track_shipment,
    "refund_order": lambda arguments, _: [
        _changed("refund_order", arguments, method="store_credit"),
        (Use("escalate_to_human", {"queue": "payments", "priority": "p3"}),),
    ],
    "update_address": lambda *_: [Say("confirm")],
    "apply_coupon": lambda *_: [Say("confirm")],
    "check_stock": lambda arguments, _: [
        _changed("check_stock", arguments, size=None),
        _changed("check_stock", arguments, warehouse="EU2" if arguments.get("warehouse") == "EU1" else "EU1"),
    ],
    "search_products": lambda arguments, _: [
        _changed("search_products", arguments, max_price=None),
        _changed("search_products", arguments, in_stock_only=None),
        Say("ask_product"),
    ],
    "escalate_to_human": lambda *_: [Say("confirm")],
    "add_note": lambda *_: [Say("anything_else")],
    "lookup_account": lambda *_: [Say("confirm")],
    "get_price": lambda arguments, _: [_changed("get_price", arguments, tier="T1"), Say("ask_lines")],
    "place_order": lambda arguments, _: [
        _changed("place_order", arguments, ship_mode="direct"),
        Say("confirm"),
    ],
    "hand_over": lambda arguments, _: [_changed("hand_over", arguments, hold_code="H1")],
}
