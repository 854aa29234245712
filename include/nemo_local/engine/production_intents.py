"""What a customer of the shop may want, by the words used; tried in this order."""

from __future__ import annotations

import re

_FLAGS = re.IGNORECASE
INTENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("fraud", re.compile(r"\b(hacked|fraud|did(?:n't| not) place|unauthori[sz]ed)\b", _FLAGS)),
    ("legal", re.compile(r"\b(lawyer|legal action|consumer protection|solicitor)\b", _FLAGS)),
    ("human", re.compile(r"\b(human|real person|manager|supervisor|somebody real)\b", _FLAGS)),
    ("gift_card", re.compile(r"\bgift card\b", _FLAGS)),
    ("invoice", re.compile(r"\binvoice\b", _FLAGS)),
    ("cancel", re.compile(r"\bcancel\b", _FLAGS)),
    (
        "address",
        re.compile(r"\b(new address|delivery address|shipping address|deliver it to|moved)\b", _FLAGS),
    ),
    ("coupon", re.compile(r"\b(coupon|voucher|promo code|discount code)\b", _FLAGS)),
    (
        "damaged",
        re.compile(
            r"\b(broken|damaged|cracked|defective|torn|wrong (?:item|colour|product)|not what i ordered)\b",
            _FLAGS,
        ),
    ),
    (
        "return",
        re.compile(
            r"\b(return|send (?:it|this|them|the [\w ]+) back|too (?:small|big|tight|large)"
            r"|doesn'?t fit|changed my mind)\b",
            _FLAGS,
        ),
    ),
    ("refund", re.compile(r"\b(refund|money back|charged twice|double charge|reimburse\w*)\b", _FLAGS)),
    ("stock", re.compile(r"\b(in stock|available|availability|sold out)\b", _FLAGS)),
    ("search", re.compile(r"\b(looking for|searching for|recommend|suggest)\b", _FLAGS)),
    (
        "where",
        re.compile(
            r"\b(where|arrived?|tracking|parcel|package|shipped|delivered|delivery|status|on its way)\b",
            _FLAGS,
        ),
    ),
    ("hours", re.compile(r"\b(opening hours|open on|phone number|gift wrap\w*|shipping cost)\b", _FLAGS)),
)

REASONS = (
    ("R40", re.compile(r"\b(wrong (?:item|colour|product)|not what i ordered)\b", _FLAGS)),
    ("R30", re.compile(r"\b(broken|damaged|cracked|defective|torn)\b", _FLAGS)),
    ("R10", re.compile(r"\b(too (?:small|big|tight|large)|doesn'?t fit|size)\b", _FLAGS)),
)
DISLIKED = "R20"
CATEGORIES = (
    ("clothing", re.compile(r"\b(jacket|jumper|shirt|dress|trousers|socks)\b", _FLAGS)),
    ("outdoor", re.compile(r"\b(tent|backpack|sleeping bag|boots|bottle)\b", _FLAGS)),
    ("electronics", re.compile(r"\b(headphones|speaker|charger|headlamp)\b", _FLAGS)),
)
