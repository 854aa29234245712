"""The production agent without tools: where it is told that it has no access, it says how things go here."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from include.nemo_local.engine.production_intents import INTENTS
from include.nemo_local.engine.production_reading import Conversation

_NO_ACCESS = re.compile(r"\bno access\b", re.IGNORECASE)

# The first wording is the one at temperature 0.
_ADVICE: Mapping[str, tuple[str, ...]] = {
    "where": (
        "The tracking link in your shipping e-mail shows where the parcel is. If it has not moved"
        " for three days, a colleague opens an inquiry with the carrier; please have your order "
        "number ready.",
        "Please look at the tracking link in the shipping e-mail first. If the parcel has not "
        "moved for three days, we open an inquiry with the carrier; a colleague needs your order "
        "number for that.",
    ),
    "return": (
        "You can send articles back within 30 days. A colleague sends you the return label by "
        "e-mail; they need your order number and the reason.",
        "Returns are possible within 30 days of delivery. For the label a colleague needs your "
        "order number and the reason for the return.",
    ),
    "damaged": (
        "I am sorry about that. Please take a photo of the damage and keep the box; with your "
        "order number a colleague sends a replacement or pays the price back.",
        "That should not happen, sorry. Keep the box and take a photo; a colleague then sends a "
        "replacement or your money back, and needs the order number.",
    ),
    "refund": (
        "Refunds go to the original payment method within five days of our answer. A colleague "
        "from payments looks into it; please have your order number ready.",
        "We pay back to the payment method that you used, within five days. A colleague from "
        "payments needs your order number for it.",
    ),
    "coupon": (
        "A coupon works on one order before it is packed. A colleague can add it for you; please "
        "give them the code and the order number.",
        "Coupons can be added until the order is packed, one for each order. A colleague needs "
        "the code and your order number.",
    ),
    "stock": (
        "The article's page shows whether it is in stock, for each size. Sold out articles mostly"
        " come back within three weeks; you can leave your e-mail there.",
        "You see the stock of each size on the article's page. If it is sold out, leave your "
        "e-mail there: most articles are back within three weeks.",
    ),
    "human": (
        "Of course. A colleague calls you back today; please leave your phone number and your order number.",
        "Gladly: leave your phone number and order number, and a colleague calls you back today.",
    ),
    "legal": (
        "I pass this on to our legal team, who answer in writing within two working days.",
        "Our legal team will answer you in writing within two working days; I pass it on.",
    ),
    "fraud": (
        "Please change your password at once and tell your bank. Our security team locks the "
        "account and gets back to you within the hour.",
        "Change your password at once, please, and inform your bank. Our security team locks the "
        "account and contacts you within the hour.",
    ),
}


def advice_for(instructions: str, conversation: Conversation, rng: random.Random | None) -> str | None:
    """What to tell about the matter that the user named last; None with access, or without advice."""
    if not _NO_ACCESS.search(instructions) or not conversation.said:
        return None
    said = conversation.said[-1][1]
    intent = next((name for name, pattern in INTENTS if pattern.search(said)), None)
    choices = _ADVICE.get(intent or "")
    if choices is None:
        return None
    return rng.choice(choices) if rng else choices[0]
