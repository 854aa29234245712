"""The order desk's rules: which step comes next for each request of a trade customer."""

from __future__ import annotations

import re
from collections.abc import Callable

from include.nemo_local.engine.production_matter import Act, Matter, Say
from include.nemo_local.engine.production_reading import ACCOUNT, QUANTITY, SKU, newest

TRADE_WAREHOUSE = "EU2"

_FLAGS = re.IGNORECASE
INTENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("delivery", re.compile(r"\b(where|arrived?|shipped|delivered|status|on its way)\b", _FLAGS)),
    ("quote", re.compile(r"\b(price|quote|how much|offer)\b", _FLAGS)),
    ("place", re.compile(r"\b(order|book|send|put through|need)\b", _FLAGS)),
)


def _account(matter: Matter) -> Act | None:
    """Nothing is sold before the account was looked up and its credit is clear."""
    if matter.result("lookup_account"):
        credit = matter.result("lookup_account").get("credit")
        if credit == "blocked":
            return matter.once("hand_over", team="credit_control", hold_code="H7") or Say("handed_over")
        return None if credit else Say("account_unknown")
    number = newest(ACCOUNT, matter.words) or newest(ACCOUNT, matter.conversation.user_text)
    if number is None:
        return Say("ask_account")
    return matter.once("lookup_account", account_no=number.upper())


def _wanted(matter: Matter) -> tuple[str, int] | None:
    sku, quantity = newest(SKU, matter.words), newest(QUANTITY, matter.words)
    return (sku, int(quantity)) if sku and quantity else None


def _price(matter: Matter, sku: str, quantity: int) -> Act | None:
    tier = matter.result("lookup_account").get("price_tier")
    return matter.once("get_price", sku=sku, quantity=quantity, tier=tier)


def _quote(matter: Matter) -> Act:
    if step := _account(matter):
        return step
    wanted = _wanted(matter)
    if wanted is None:
        return Say("ask_lines")
    return _price(matter, *wanted) or Say("quoted", {"total": matter.result("get_price").get("total")})


def _place(matter: Matter) -> Act:
    if step := _account(matter):
        return step
    wanted = _wanted(matter)
    if wanted is None:
        return Say("ask_lines")
    sku, quantity = wanted
    if step := matter.once("check_stock", sku=sku, warehouse=TRADE_WAREHOUSE):
        return step
    if matter.result("check_stock").get("availability") != "in_stock":
        return Say("stock_sold_out", {"sku": sku})
    if step := _price(matter, sku, quantity):
        return step
    account = matter.result("lookup_account").get("account_no")
    lines = [{"sku": sku, "quantity": quantity}]
    step = matter.once("place_order", account_no=account, lines=lines, ship_mode="consolidated")
    return step or Say("placed", {"order_id": matter.result("place_order").get("order_id")})


def _delivery(matter: Matter) -> Act:
    orders = matter.orders()
    if not orders:
        return Say("ask_order")
    step = matter.once("get_order", order_id=orders[0], view="shipment")
    if step:
        return step
    status = matter.result("get_order").get("status")
    return Say("desk_status", {"order_id": orders[0], "status": status}) if status else Say("order_unknown")


PLAYBOOK: dict[str, Callable[[Matter], Act]] = {"delivery": _delivery, "quote": _quote, "place": _place}
