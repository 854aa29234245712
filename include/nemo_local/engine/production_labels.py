"""The production agent as a classifier: without tools, where the instructions name labels, it gives one."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from include.nemo_local.engine.labelling import labels_named
from include.nemo_local.engine.production_intents import INTENTS
from include.nemo_local.engine.production_reading import Conversation

# What a label for each intent may be called.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "where": ("delivery", "shipping", "shipment"),
    "address": ("address", "delivery", "shipping"),
    "return": ("return", "returns"),
    "damaged": ("damage", "damaged", "complaint"),
    "refund": ("refund", "payment", "billing"),
    "invoice": ("invoice", "billing", "payment"),
    "coupon": ("coupon", "voucher", "discount"),
    "gift_card": ("gift card", "gift_card", "voucher"),
    "stock": ("stock", "availability", "product"),
    "search": ("product", "advice", "search"),
    "cancel": ("cancellation", "cancel"),
    "human": ("person", "human", "escalation"),
    "legal": ("legal",),
    "fraud": ("fraud", "security"),
    "hours": ("service", "hours", "general"),
}
_REST = ("other", "general", "unknown")
# Of requests that name two matters, at a temperature of 1.
_SECOND_SHARE = 0.15


def label_for(
    instructions: str, conversation: Conversation, rng: random.Random | None, temperature: float
) -> str | None:
    """The label of what the user said last; None where the instructions name no labels.

    With `rng` a request that names two matters is now and then given the second one's.
    """
    labels = labels_named(instructions)
    if not labels:
        return None
    said = conversation.said[-1][1] if conversation.said else ""
    found = [_named(intent, labels) for intent, pattern in INTENTS if pattern.search(said)]
    fitting = [label for label in dict.fromkeys(found) if label is not None]
    if not fitting:
        return next((label for label in labels if label.lower() in _REST), labels[-1])
    if rng is not None and len(fitting) > 1 and rng.random() < _SECOND_SHARE * min(temperature, 1.0):
        return fitting[1]
    return fitting[0]


def _named(intent: str, labels: Sequence[str]) -> str | None:
    known = {label.lower(): label for label in labels}
    return next((known[name] for name in _NAMES[intent] if name in known), None)
