"""The two sample workloads of the client `acme-shop`: what is offered, told and asked for in each."""

from __future__ import annotations

from dataclasses import dataclass

from include.local_stack.traffic.errors import UnknownWorkload
from include.local_stack.traffic.tools import DESK_TOOLS, SUPPORT_TOOLS, Tool

CLIENT_ID = "acme-shop"
PRODUCTION_MODEL = "local/shop-agent-large"


@dataclass(frozen=True)
class Workload:
    """One application of the shop. `intents` are weights; `rare` are how many conversations hold each.

    `turns` is the most that a user says in one conversation; None: as much as they like.
    """

    workload_id: str
    description: str
    system_prompt: str
    tools: tuple[Tool, ...]
    intents: dict[str, float]
    rare: dict[str, int]
    conversations: int
    client_id: str = CLIENT_ID
    model: str = PRODUCTION_MODEL
    turns: int | None = None
    temperature: float = 0.6
    usd_per_million_tokens_in: float = 2.5
    usd_per_million_tokens_out: float = 10.0


_SUPPORT_PROMPT = """\
You are the support agent of Acme Shop. Be brief and friendly. House rules:
1. Every request on an order starts with loading that order, also when it was loaded before: its shipment
   for deliveries, addresses and cancellations, its payment for refunds, coupons and invoices, its items for
   returns and damages. Without an order number, list the orders of
   the e-mail address (at most 5); if there are several, ask which one.
2. Deliveries: look at what the carrier says. For a delayed parcel apply the goodwill coupon SORRYTEN to the
   order. A lost parcel goes to carrier_claims with p2.
3. Returns and complaints: check the return first and register the resolution that the check names.
   Reason codes: R10 fit or size, R20 not wanted any more, R30 damaged or defective, R40 wrong article.
   Name a new size only where the customer did.
4. Refunds go to the original payment method in full; what needs a manager goes to payments with p3.
5. Addresses change only while an order is processed; the country is DE.
6. Suggestions: only what is in stock, and check the first one in EU1 before naming it.
7. Fraud goes to security, threats of law to legal, both p1; who asks for a person goes to frontline with p3.
8. Before the closing words save a note on the order, under the topic code that the last tool gave.
"""

_DESK_PROMPT = """\
You are the order desk of Acme Shop for trade customers. House rules:
1. Load the account before quoting or selling. Blocked credit goes to credit_control with hold code H7.
2. Prices follow the account's tier. Stock for trade is in warehouse EU2.
3. To order: account, stock, price, then place the order, consolidated.
4. Questions on deliveries: load the order's shipment.
"""

SUPPORT_AGENT = Workload(
    workload_id="support_agent",
    description="Customer support of an online shop: orders, deliveries, returns, refunds, products",
    system_prompt=_SUPPORT_PROMPT,
    tools=SUPPORT_TOOLS,
    intents={
        "where": 24,
        "return": 15,
        "damaged": 12,
        "refund": 11,
        "coupon": 10,
        "stock": 9,
        "human": 6,
        "legal": 4,
        "fraud": 4,
        "hours": 3,
    },
    rare={"search": 4, "address": 4, "invoice": 3, "gift_card": 2, "cancel": 3},
    conversations=560,
)

ORDER_DESK = Workload(
    workload_id="order_desk",
    description="Order desk for trade customers: quotes, orders, deliveries",
    system_prompt=_DESK_PROMPT,
    tools=DESK_TOOLS,
    intents={"place": 55, "quote": 25, "delivery": 20},
    rare={},
    conversations=65,
)

WORKLOADS = {workload.workload_id: workload for workload in (SUPPORT_AGENT, ORDER_DESK)}


def workload_named(name: str) -> Workload:
    """The sample workload of that id. Raises UnknownWorkload."""
    try:
        return WORKLOADS[name]
    except KeyError:
        known = ", ".join(WORKLOADS)
        raise UnknownWorkload(f"workload {name!r} is not among the samples; use one of: {known}") from None
