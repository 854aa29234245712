"""The tools that the two sample applications offer, in OpenAI's form.

The descriptions say what a tool does, not when the house wants it used or what its codes mean: that stands
in the system prompt, as in many real applications, and shows in the logged answers.
"""

from __future__ import annotations

from typing import Any

from include.local_stack.traffic.world import CARRIERS, PRICE_TIERS, SIZES, WAREHOUSES

Tool = dict[str, Any]
Schema = dict[str, Any]


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _one_of(description: str, *values: str) -> Schema:
    return {"type": "string", "enum": list(values), "description": description}


def _tool(name: str, description: str, optional: tuple[str, ...] = (), **properties: Schema) -> Tool:
    required = [key for key in properties if key not in optional]
    parameters = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


_ORDER = _text("Order number, such as 'SO-48213'.")
_SKU = _text("Article number, such as 'CL-4821'.")
_EMAIL = _text("The customer's e-mail address.")
_VIEW = _one_of("Which part of the order to load.", "items", "shipment", "payment")
_WAREHOUSE = _one_of("Warehouse to look in.", *WAREHOUSES)
_SIZE = _one_of("Size, for articles that come in sizes.", *SIZES)
_REASON = _one_of("Reason code.", "R10", "R20", "R30", "R40")
_ADDRESS: Schema = {
    "type": "object",
    "description": "The new postal address.",
    "properties": {
        "street": _text("Street and house number."),
        "postal_code": _text("Postal code, such as '10115'."),
        "city": _text("City."),
        "country": _text("Two-letter country code."),
    },
    "required": ["street", "postal_code", "city", "country"],
}
_LINES: Schema = {
    "type": "array",
    "description": "The articles ordered.",
    "items": {
        "type": "object",
        "properties": {"sku": _SKU, "quantity": {"type": "integer", "description": "Units."}},
        "required": ["sku", "quantity"],
    },
}

_GET_ORDER = _tool("get_order", "Load one order by its number.", order_id=_ORDER, view=_VIEW)
_CHECK_STOCK = _tool(
    "check_stock",
    "Tell whether an article is in stock.",
    ("size",),
    sku=_SKU,
    warehouse=_WAREHOUSE,
    size=_SIZE,
)

SUPPORT_TOOLS: tuple[Tool, ...] = (
    _tool(
        "list_orders",
        "List a customer's orders by e-mail address.",
        ("limit",),
        email=_EMAIL,
        limit={"type": "integer", "description": "How many orders at most."},
    ),
    _GET_ORDER,
    _tool(
        "track_shipment",
        "Where a parcel is, by the carrier's tracking number.",
        tracking_number=_text("The carrier's tracking number."),
        carrier=_one_of("Carrier.", *CARRIERS),
    ),
    _tool(
        "check_return",
        "Tell whether an article may be returned and what the customer would get.",
        order_id=_ORDER,
        sku=_SKU,
        reason_code=_REASON,
    ),
    _tool(
        "start_return",
        "Register the return of an article and send the label.",
        ("new_size",),
        order_id=_ORDER,
        sku=_SKU,
        reason_code=_REASON,
        resolution=_one_of("What the customer gets.", "refund", "replacement", "exchange", "store_credit"),
        new_size=_SIZE,
    ),
    _tool(
        "refund_order",
        "Pay an order back.",
        order_id=_ORDER,
        amount={"type": "number", "description": "Amount in EUR."},
        method=_one_of("How it is paid back.", "original", "store_credit"),
    ),
    _tool("update_address", "Change the delivery address of an order.", order_id=_ORDER, address=_ADDRESS),
    _tool("cancel_order", "Cancel an order.", order_id=_ORDER, reason=_text("Why it is cancelled.")),
    _tool("apply_coupon", "Apply a coupon to an order.", order_id=_ORDER, code=_text("Coupon code.")),
    _CHECK_STOCK,
    _tool(
        "search_products",
        "Search the catalogue.",
        ("max_price", "in_stock_only"),
        article_type=_text("Type of article."),
        category=_one_of("Department.", "clothing", "outdoor", "electronics", "home"),
        max_price={"type": "number", "description": "Highest price in EUR."},
        in_stock_only={"type": "boolean", "description": "Leave out what is sold out."},
    ),
    _tool(
        "send_invoice",
        "Send the invoice of an order.",
        order_id=_ORDER,
        format=_one_of("Format.", "pdf", "xml"),
    ),
    _tool("check_gift_card", "Balance of a gift card.", card_number=_text("Number, such as 'GC-1234-5678'.")),
    _tool(
        "escalate_to_human",
        "Hand the conversation to a team of people.",
        queue=_one_of("Team.", "frontline", "payments", "carrier_claims", "legal", "security"),
        priority=_one_of("Priority.", "p1", "p2", "p3", "p4"),
    ),
    _tool(
        "add_note",
        "Save a note on an order.",
        order_id=_ORDER,
        topic=_one_of("Topic code.", "N1", "N2", "N3", "N4", "N5", "N6", "N7", "N9"),
    ),
)

DESK_TOOLS: tuple[Tool, ...] = (
    _tool("lookup_account", "Load a trade account.", account_no=_text("Account number, such as 'AC-2041'.")),
    _GET_ORDER,
    _CHECK_STOCK,
    _tool(
        "get_price",
        "The net price of an article.",
        sku=_SKU,
        quantity={"type": "integer", "description": "Units."},
        tier=_one_of("Price tier.", *PRICE_TIERS),
    ),
    _tool(
        "place_order",
        "Place an order on account.",
        account_no=_text("Account number, such as 'AC-2041'."),
        lines=_LINES,
        ship_mode=_one_of("How it is shipped.", "direct", "consolidated"),
    ),
    _tool(
        "hand_over",
        "Hand the request to another team.",
        team=_one_of("Team.", "credit_control", "key_accounts"),
        hold_code=_one_of("Hold code.", "H1", "H7"),
    ),
)
