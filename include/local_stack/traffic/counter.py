"""The shop's side of the tools: what each call answers. Unknown names and bad arguments answer an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from include.local_stack.traffic.world import Order, Product, Shop

RETURN_DAYS = 30
GOODWILL_COUPONS = ("SORRYTEN",)
VALID_COUPONS = (*GOODWILL_COUPONS, "SPRING15", "WELCOME5")
TIER_DISCOUNT = {"T1": 0.0, "T2": 0.08, "T3": 0.15}

# Topic codes for notes: what the back end files a step under.
_VIEW_TOPICS = {"items": "N2", "payment": "N4", "shipment": "N1"}
_FAULT_REASONS = ("R30", "R40")

Answer = dict[str, Any]


class ShopCounter:
    """Runs tool calls against a shop. Deterministic: it holds no clock and keeps no state."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._tools: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "list_orders": self._list_orders,
            "get_order": self._get_order,
            "track_shipment": self._track_shipment,
            "check_return": self._check_return,
            "start_return": lambda call: {
                "return_id": f"RT-{_tail(call)}",
                "label": "sent",
                "topic": _return_topic(call),
            },
            "refund_order": lambda call: {"refund_id": f"RF-{_tail(call)}", "topic": "N4"},
            "update_address": lambda call: {"order_id": call.get("order_id"), "updated": True, "topic": "N5"},
            "cancel_order": lambda call: {"order_id": call.get("order_id"), "cancelled": True, "topic": "N7"},
            "apply_coupon": lambda call: {
                "applied": call.get("code") in VALID_COUPONS,
                "topic": "N6",
            },
            "check_stock": self._check_stock,
            "search_products": self._search_products,
            "send_invoice": lambda call: {"sent": True, "order_id": call.get("order_id")},
            "check_gift_card": lambda call: {"card_number": call.get("card_number"), "balance": 35.0},
            "escalate_to_human": lambda call: {"ticket": f"TK-{call.get('queue')}", "accepted": True},
            "add_note": lambda _: {"saved": True},
            "lookup_account": self._lookup_account,
            "get_price": self._get_price,
            "place_order": lambda call: {"order_id": f"SO-{_tail(call)}", "status": "confirmed"},
            "hand_over": lambda call: {"ticket": f"TK-{call.get('team')}", "accepted": True},
        }

    def call(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """The answer of one tool; `{"error": ...}` for what it cannot do."""
        tool = self._tools.get(name)
        return tool(arguments) if tool else {"error": "no_such_tool", "tool": name}

    def _order(self, call: Mapping[str, Any]) -> Order | None:
        return self._shop.orders.get(str(call.get("order_id")))

    def _list_orders(self, call: Mapping[str, Any]) -> Answer:
        orders = self._shop.orders_of(str(call.get("email")))
        limit = call.get("limit")
        shown = orders[:limit] if isinstance(limit, int) else orders
        listed = [{"order_id": order.order_id, "status": order.status} for order in shown]
        return {"orders": listed, "count": len(orders)}

    def _get_order(self, call: Mapping[str, Any]) -> Answer:
        order = self._order(call)
        if order is None:
            return {"error": "no_such_order"}
        answer: Answer = {"order_id": order.order_id, "status": order.status}
        view = call.get("view")
        if view == "items":
            answer["items"] = [_listed(item) for item in order.items]
        elif view == "payment":
            answer |= {"total": order.total, "refund_approval": "manager" if order.needs_manager else "agent"}
        elif order.tracking_number:
            answer["shipment"] = {"carrier": order.carrier, "tracking_number": order.tracking_number}
        return {**answer, "topic": _VIEW_TOPICS.get(str(view), "N1")}

    def _track_shipment(self, call: Mapping[str, Any]) -> Answer:
        number = call.get("tracking_number")
        order = next(
            (one for one in self._shop.orders.values() if one.tracking_number == number and number), None
        )
        if order is None:
            return {"error": "no_such_shipment"}
        return {"tracking_number": number, "state": order.state, "topic": "N1"}

    def _check_return(self, call: Mapping[str, Any]) -> Answer:
        """What is damaged or wrong comes back at any time, the rest within RETURN_DAYS."""
        order, product = self._order(call), self._shop.products.get(str(call.get("sku")))
        if order is None or product is None:
            return {"error": "no_such_item"}
        if call.get("reason_code") in _FAULT_REASONS:
            resolution = "replacement" if product.in_stock else "refund"
            return {"eligible": True, "resolution": resolution, "topic": "N3"}
        if order.days_since_delivery > RETURN_DAYS:
            return {"eligible": False, "topic": "N2"}
        fits_not = call.get("reason_code") == "R10"
        return {"eligible": True, "resolution": "exchange" if fits_not else "store_credit", "topic": "N2"}

    def _check_stock(self, call: Mapping[str, Any]) -> Answer:
        product = self._shop.products.get(str(call.get("sku")))
        if product is None:
            return {"error": "no_such_product"}
        return {"sku": product.sku, "availability": "in_stock" if product.in_stock else "sold_out"}

    def _search_products(self, call: Mapping[str, Any]) -> Answer:
        words = set(str(call.get("article_type", "")).lower().split())
        highest = call.get("max_price")
        ceiling = float(highest) if isinstance(highest, int | float) else float("inf")
        found = [
            _listed(product)
            for product in self._shop.products.values()
            if words & set(product.name.split()) and product.price <= ceiling
        ]
        return {"products": found[:3]}

    def _lookup_account(self, call: Mapping[str, Any]) -> Answer:
        account = self._shop.accounts.get(str(call.get("account_no")))
        if account is None:
            return {"error": "no_such_account"}
        return {
            "account_no": account.account_no,
            "company": account.company,
            "price_tier": account.price_tier,
            "credit": account.credit,
        }

    def _get_price(self, call: Mapping[str, Any]) -> Answer:
        product = self._shop.products.get(str(call.get("sku")))
        quantity = call.get("quantity")
        if product is None or not isinstance(quantity, int):
            return {"error": "no_such_price"}
        discount = TIER_DISCOUNT.get(str(call.get("tier")), 0.0)
        return {"sku": product.sku, "total": round(product.price * quantity * (1 - discount), 2)}


def _listed(product: Product) -> Answer:
    return {"sku": product.sku, "name": product.name, "price": product.price}


def _return_topic(call: Mapping[str, Any]) -> str:
    return "N3" if call.get("reason_code") in _FAULT_REASONS else "N2"


def _tail(call: Mapping[str, Any]) -> str:
    """Five digits that follow from the call, for the numbers of what it created."""
    order = str(call.get("order_id") or call.get("account_no") or "")
    return f"{sum(order.encode()) * 7919 % 90000 + 10000}"
