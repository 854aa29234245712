"""The simulated users: what each comes for, how they put it, and how they answer the agent's questions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from include.local_stack.traffic import phrases
from include.local_stack.traffic.world import SIZES, Order, Shop, street_address

# How users behave, as shares of those who could.
NAMES_NO_ORDER = 0.06
NAMES_EMAIL = 0.08
MISTYPES_ORDER = 0.015
WRITES_SMALL = 0.005
RAMBLES = 0.15
OPENS_WITH_GREETING = 0.03
ASKS_ABOUT_TWO_ORDERS = 0.02
COMES_BACK = 0.06
TAKES_ORDER_AS_KNOWN = 0.05
REPEATS_REQUEST = 0.95
SAYS_THANKS = 0.1

_WITHOUT_ORDER = frozenset({"stock", "search", "human", "legal", "fraud", "hours", "gift_card"})
_TRADE = frozenset({"place", "quote", "delivery"})
_ON_AN_ORDER = ("where", "return", "damaged", "refund", "coupon")


@dataclass(frozen=True)
class Errand:
    """One thing that a user wants: the key of its phrases and the details that fill them."""

    intent: str
    phrase: str
    details: dict[str, Any] = field(default_factory=dict)

    def say(self, rng: random.Random, choices: Sequence[str]) -> str:
        """One of the phrases, filled."""
        return rng.choice(choices).format_map(self.details)


class SimulatedUser:
    """A user with one or two errands. Reacts to the agent's words only, as a person would."""

    def __init__(self, rng: random.Random, shop: Shop, intent: str) -> None:
        self._rng = rng
        order = _order_for(rng, shop, intent)
        self._errands = [_errand(rng, shop, intent, order)]
        if intent not in _WITHOUT_ORDER | _TRADE and rng.random() < COMES_BACK:
            other = rng.choice([name for name in _ON_AN_ORDER if name != intent])
            self._errands.append(_errand(rng, shop, other, order))
        self._errand = self._errands.pop(0)
        self._greets = rng.random() < OPENS_WITH_GREETING
        self._gone = False

    def opening(self) -> str:
        """The first turn."""
        return self._rng.choice(phrases.GREETINGS) if self._greets else self._request()

    def reply(self, answer: str) -> str | None:
        """The next turn after the agent's words; None when the user leaves."""
        if self._gone:
            return None
        if self._greets:
            self._greets = False
            return self._request()
        if answer.rstrip().endswith("?") and (told := self._tell(answer.lower())):
            return told
        if self._errands:
            self._errand = self._errands.pop(0)
            return self._rng.choice(phrases.ALSO) + self._request_again()
        self._gone = True
        return self._rng.choice(phrases.THANKS) if self._rng.random() < SAYS_THANKS else None

    def _request(self) -> str:
        rng, errand = self._rng, self._errand
        request = errand.say(rng, phrases.REQUESTS[errand.phrase])
        opener = rng.choice(phrases.OPENERS)
        if not opener:
            request = request[0].upper() + request[1:]
        ramble = rng.choice(phrases.RAMBLES) if rng.random() < RAMBLES else ""
        return opener + request + self._identify() + ramble + rng.choice(phrases.CLOSERS)

    def _request_again(self) -> str:
        """The second errand; most people name the order once more, some take it as known."""
        rng, errand = self._rng, self._errand
        request = errand.say(rng, phrases.REQUESTS[errand.phrase])
        if rng.random() < TAKES_ORDER_AS_KNOWN or errand.phrase == "where_two":
            return request
        return request + errand.say(rng, phrases.BY_ORDER)

    def _identify(self) -> str:
        """What the user names beside the request: an order number, an e-mail address, or nothing."""
        rng, errand = self._rng, self._errand
        if errand.intent in _WITHOUT_ORDER or errand.phrase in ("where_two", "delivery"):
            return ""
        chance = rng.random()
        if chance < NAMES_NO_ORDER:
            return ""
        if errand.intent in _TRADE:
            return errand.say(rng, phrases.BY_ACCOUNT)
        if chance < NAMES_NO_ORDER + NAMES_EMAIL:
            return errand.say(rng, phrases.BY_EMAIL)
        told = errand.say(rng, phrases.BY_ORDER)
        chance = rng.random()
        if chance < MISTYPES_ORDER:
            return told.replace(errand.details["order"], "SO-00" + errand.details["order"][-3:])
        return told.lower() if chance < MISTYPES_ORDER + WRITES_SMALL else told

    def _tell(self, question: str) -> str | None:
        """The answer to a question of the agent; None for one that this user has nothing to say to."""
        choices = self._choices(question)
        if choices is None:
            return None
        rng, errand = self._rng, self._errand
        told = errand.say(rng, choices)
        if choices is phrases.REQUESTS[errand.phrase] or rng.random() >= REPEATS_REQUEST:
            return told
        return told + rng.choice(phrases.AS_I_SAID) + errand.say(rng, phrases.REQUESTS[errand.phrase])

    def _choices(self, question: str) -> Sequence[str] | None:
        known = self._errand.details
        by_email = "e-mail" in question and self._rng.random() < 0.35
        ways = (
            ("account number" in question and "account" in known, phrases.GIVE_ACCOUNT),
            (by_email and "email" in known, phrases.GIVE_EMAIL),
            ("order number" in question and "order" in known, phrases.GIVE_ORDER),
            ("address" in question and "street" in known, phrases.GIVE_ADDRESS),
            ("go ahead" in question or "would like me to do" in question, phrases.GO_AHEAD),
            ("which" in question or "what kind" in question, phrases.REQUESTS[self._errand.phrase]),
        )
        return next((choices for asked, choices in ways if asked), None)


def _order_for(rng: random.Random, shop: Shop, intent: str) -> Order:
    """An order to talk about. Who asks to change one before it leaves mostly asks in time."""
    orders = list(shop.orders.values())
    if intent in ("address", "cancel") and rng.random() < 0.8:
        orders = [order for order in orders if order.status == "processing"] or orders
    return rng.choice(orders)


def _errand(rng: random.Random, shop: Shop, intent: str, order: Order) -> Errand:
    if intent in _TRADE:
        return _trade_errand(rng, shop, intent)
    item = rng.choice(order.items)
    article = rng.choice(list(shop.products.values()))
    size = rng.choice(SIZES)
    others = [one for one in shop.orders_of(order.customer.email) if one is not order]
    details: dict[str, Any] = {
        "order": order.order_id,
        "other_order": rng.choice(others).order_id if others else "",
        "email": order.customer.email,
        "item": item.name,
        "size": size,
        "sku": article.sku,
        "product": article.name,
        "price": rng.choice((40, 60, 80, 100, 150)),
        "code": rng.choice(("SPRING15", "WELCOME5", "SUMMER20", "FRIENDS10")),
        "card": f"GC-{rng.randrange(1000, 9999)}-{rng.randrange(1000, 9999)}",
        **street_address(rng),
    }
    phrase = intent
    if intent == "where" and others and rng.random() < ASKS_ABOUT_TWO_ORDERS:
        phrase = "where_two"
    elif intent == "return":
        phrase = (
            rng.choice(("return_fit", "return_fit_sized"))
            if item.sized and rng.random() < 0.6
            else "return_mind"
        )
    elif intent == "damaged":
        phrase = rng.choice(("damaged_broken", "damaged_broken", "damaged_wrong"))
    elif intent == "address" and rng.random() < 0.15:
        phrase = "address_open"
    elif intent == "stock" and article.sized and rng.random() < 0.6:
        phrase = "stock_sized"
    elif intent == "search" and rng.random() < 0.5:
        phrase = "search_priced"
    return Errand(intent, phrase, details)


def _trade_errand(rng: random.Random, shop: Shop, intent: str) -> Errand:
    details = {
        "order": rng.choice(list(shop.orders)),
        "account": rng.choice(list(shop.accounts)),
        "sku": rng.choice(list(shop.products)),
        "quantity": rng.choice((5, 10, 12, 20, 24, 40, 50, 60, 100, 120, 250)),
    }
    return Errand(intent, intent, details)
