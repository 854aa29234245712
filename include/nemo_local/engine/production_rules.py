"""The support agent's rules: which step comes next for each request of a shop's customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.nemo_local.engine.production_intents import CATEGORIES, DISLIKED, REASONS
from include.nemo_local.engine.production_matter import Act, Matter, Say, Use
from include.nemo_local.engine.production_reading import (
    COUPON,
    EMAIL,
    GIFT_CARD,
    MAX_PRICE,
    SIZE,
    SKU,
    WANTED_PRODUCT,
    address,
    as_object,
    named_item,
    newest,
    objects_in,
)

LIST_LIMIT = 5
TOLD_STATES = ("in_transit", "delivered", "delayed")
RESOLUTIONS = ("refund", "replacement", "exchange", "store_credit")
GOODWILL_COUPON = "SORRYTEN"
HOME_WAREHOUSE = "EU1"
HOME_COUNTRY = "DE"


def look_up(matter: Matter, view: str) -> Act | None:
    """The steps to a known order, which the house asks for anew with every request; None once it is known."""
    orders = matter.orders()
    if not orders and (step := _find_orders(matter, orders)):
        return step
    loads = [call.arguments for call in matter.calls if call.name == "get_order"]
    loaded = [load.get("order_id") for load in loads if load.get("view") == view]
    missing = [order for order in orders[:2] if order not in loaded]
    if missing:
        matter.require("get_order")
        return tuple(Use("get_order", {"order_id": order, "view": view}) for order in missing)
    return None if "order_id" in matter.result("get_order") else Say("order_unknown")


def _find_orders(matter: Matter, orders: list[str]) -> Act | None:
    """Without an order number: the customer's only order is put into `orders`, or the step towards it."""
    email = newest(EMAIL, matter.words)
    if not email:
        return Say("ask_order")
    if step := matter.once("list_orders", email=email, limit=LIST_LIMIT):
        return step
    listed = objects_in(matter.result("list_orders").get("orders"))
    orders.extend(str(order.get("order_id")) for order in listed)
    if len(orders) == 1:
        return None
    return Say("which_order", {"orders": ", ".join(orders)}) if orders else Say("order_unknown")


def close(matter: Matter, say: Say) -> Act:
    """A request on an order ends with a note under the topic that the last tool gave, then with words."""
    order = matter.done("get_order")
    topics = [call.result["topic"] for call in matter.calls if isinstance(call.result.get("topic"), str)]
    if order is None or not topics or "add_note" not in matter.offered:
        return say
    return matter.once("add_note", order_id=order.arguments.get("order_id"), topic=topics[-1]) or say


def _hand_over(matter: Matter, queue: str, priority: str) -> Act:
    return matter.once("escalate_to_human", queue=queue, priority=priority) or Say("handed_over")


def _where(matter: Matter) -> Act:
    if step := look_up(matter, "shipment"):
        return step
    order = matter.result("get_order")
    shipment = as_object(order.get("shipment"))
    number, carrier = shipment.get("tracking_number"), shipment.get("carrier")
    if number and (step := matter.once("track_shipment", tracking_number=number, carrier=carrier)):
        return step
    state = matter.result("track_shipment").get("state")
    if state == "lost":
        return _hand_over(matter, "carrier_claims", "p2")
    order_id = order.get("order_id")
    goodwill = state == "delayed" and "apply_coupon" in matter.offered
    if goodwill and (step := matter.once("apply_coupon", order_id=order_id, code=GOODWILL_COUPON)):
        return step
    said = state if state in TOLD_STATES else "processing"
    return close(matter, Say(f"where_{said}", {"order_id": order_id, "carrier": carrier}))


def _reason(matter: Matter) -> str:
    return next((code for code, pattern in REASONS if pattern.search(matter.words)), DISLIKED)


def _return(matter: Matter) -> Act:
    """Returns and complaints go one way: load the order, check, register what the check grants."""
    if step := look_up(matter, "items"):
        return step
    order = matter.result("get_order")
    item = named_item(order.get("items"), matter.words)
    reason = _reason(matter)
    wanted = {"order_id": order.get("order_id"), "sku": item.get("sku"), "reason_code": reason}
    if not matter.done("start_return") and (step := matter.once("check_return", **wanted)):
        return step
    checked = matter.result("check_return")
    if checked and not checked.get("eligible", False):
        return close(matter, Say("return_too_late", {"order_id": order.get("order_id")}))
    wanted["resolution"] = checked.get("resolution")
    size = newest(SIZE, matter.words)
    if reason == "R10" and size:
        wanted["new_size"] = size.upper()
    if step := matter.once("start_return", **wanted):
        return step
    granted = checked.get("resolution")
    topic = f"return_{granted}" if granted in RESOLUTIONS else "return_refund"
    return close(matter, Say(topic, {"item": item.get("name", "item")}))


def _refund(matter: Matter) -> Act:
    if step := look_up(matter, "payment"):
        return step
    order = matter.result("get_order")
    if order.get("refund_approval") == "manager":
        return _hand_over(matter, "payments", "p3")
    step = matter.once(
        "refund_order", order_id=order.get("order_id"), amount=order.get("total"), method="original"
    )
    return step or close(matter, Say("refunded", {"amount": order.get("total")}))


def _address(matter: Matter) -> Act:
    if step := look_up(matter, "shipment"):
        return step
    order = matter.result("get_order")
    if order.get("status") != "processing":
        return close(matter, Say("address_too_late", {"order_id": order.get("order_id")}))
    new = address(matter.words)
    if new is None:
        return Say("ask_address")
    order_id = order.get("order_id")
    step = matter.once("update_address", order_id=order_id, address={**new, "country": HOME_COUNTRY})
    return step or close(matter, Say("address_changed", {"order_id": order_id}))


def _coupon(matter: Matter) -> Act:
    if step := look_up(matter, "payment"):
        return step
    code = newest(COUPON, matter.words)
    if code is None:
        return Say("ask_coupon")
    order_id = matter.result("get_order").get("order_id")
    if step := matter.once("apply_coupon", order_id=order_id, code=code):
        return step
    applied = matter.result("apply_coupon").get("applied", False)
    return close(matter, Say("coupon_applied" if applied else "coupon_refused", {"code": code}))


def _cancel(matter: Matter) -> Act:
    if step := look_up(matter, "shipment"):
        return step
    order = matter.result("get_order")
    if order.get("status") != "processing":
        return close(matter, Say("cancel_too_late", {"order_id": order.get("order_id")}))
    step = matter.once("cancel_order", order_id=order.get("order_id"), reason="customer_request")
    return step or close(matter, Say("cancelled", {"order_id": order.get("order_id")}))


def _stock(matter: Matter) -> Act:
    sku = newest(SKU, matter.words)
    if sku is None:
        return Say("ask_sku")
    arguments: dict[str, Any] = {"sku": sku, "warehouse": HOME_WAREHOUSE}
    size = newest(SIZE, matter.words)
    if size:
        arguments["size"] = size.upper()
    step = matter.once("check_stock", **arguments)
    availability = matter.result("check_stock").get("availability")
    known = availability in ("in_stock", "sold_out")
    return step or Say(f"stock_{availability}" if known else "stock_unknown", {"sku": sku})


def _search(matter: Matter) -> Act:
    query = newest(WANTED_PRODUCT, matter.words)
    if query is None:
        return Say("ask_product")
    category = next((name for name, pattern in CATEGORIES if pattern.search(query)), "home")
    arguments: dict[str, Any] = {"article_type": query.lower(), "category": category, "in_stock_only": True}
    price = newest(MAX_PRICE, matter.words)
    if price:
        arguments["max_price"] = int(price)
    if step := matter.once("search_products", **arguments):
        return step
    products = objects_in(matter.result("search_products").get("products"))
    if not products:
        return Say("nothing_found", {"query": query})
    if step := matter.once("check_stock", sku=products[0].get("sku"), warehouse=HOME_WAREHOUSE):
        return step
    return Say("found_product", {"item": products[0].get("name"), "price": products[0].get("price")})


def _invoice(matter: Matter) -> Act:
    if step := look_up(matter, "payment"):
        return step
    order_id = matter.result("get_order").get("order_id")
    step = matter.once("send_invoice", order_id=order_id, format="pdf")
    return step or Say("invoice_sent", {"order_id": order_id})


def _gift_card(matter: Matter) -> Act:
    card = newest(GIFT_CARD, matter.words)
    if card is None:
        return Say("ask_gift_card")
    step = matter.once("check_gift_card", card_number=card.upper())
    return step or Say("gift_card_balance", {"amount": matter.result("check_gift_card").get("balance")})


PLAYBOOK: dict[str, Callable[[Matter], Act]] = {
    "where": _where,
    "return": _return,
    "damaged": _return,
    "refund": _refund,
    "address": _address,
    "coupon": _coupon,
    "cancel": _cancel,
    "stock": _stock,
    "search": _search,
    "invoice": _invoice,
    "gift_card": _gift_card,
    "fraud": lambda matter: _hand_over(matter, "security", "p1"),
    "legal": lambda matter: _hand_over(matter, "legal", "p1"),
    "human": lambda matter: _hand_over(matter, "frontline", "p3"),
}
