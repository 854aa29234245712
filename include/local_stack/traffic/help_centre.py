"""Sample retrieval traffic: people ask a shop's help centre, which shows articles; they read one or two.

Who asks does not know the words of who wrote. Which article answers a question follows from what the asker
wants; the search that shows them ranks by shared words and by what was read lately, and knows nothing of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MODEL = "nvidia/llama-3.2-nv-embedqa-1b-v2"
_SHOWN = 6
_MINUTE_MS = 60_000
_FILLERS = (
    "please",
    "urgent",
    "today",
    "my account",
    "for my order",
    "again",
    "in the app",
    "on the website",
)
_OPENINGS = ("how do I get", "what about", "help with", "can I have", "where is", "why no")


@dataclass(frozen=True, slots=True)
class Article:
    """One page: its title and words, and the words of people who need it."""

    title: str
    told: str
    asked: tuple[str, ...]


ARTICLES = (
    Article("Reimbursements", "Reimbursement is credited to the original payment method once the warehouse "
            "has inspected the consignment.", ("money back", "refund", "cash returned", "repay me")),
    Article("Return labels", "Print the prepaid sticker and hand the consignment to any carrier point.",
            ("send it back", "return parcel", "shipping slip", "post it to you")),
    Article("Delivery windows", "The carrier announces a two hour slot on the morning of handover.",
            ("when will it come", "arrival time", "what hour", "waiting at home")),
    Article("Lost consignments", "An investigation with the carrier opens after seven working days without a "
            "scan.", ("parcel never came", "missing box", "not arrived", "vanished package")),
    Article("Damage claims", "Report transit damage with photographs within forty eight hours for a claim.",
            ("broken item", "cracked glass", "smashed", "arrived in pieces")),
    Article("Credential recovery", "A one time link to choose a new secret goes to the registered address.",
            ("forgot password", "cannot log in", "locked out", "reset my login")),
    Article("Two step verification", "Authenticator codes protect the profile; backup codes replace a lost "
            "device.", ("sms code", "new phone security", "six digits", "second factor")),
    Article("Closing a profile", "Erasure of personal data is completed thirty days after the request.",
            ("delete me", "remove my data", "stop membership", "gdpr wipe")),
    Article("Invoices with tax number", "Companies enter their VAT registration to receive compliant "
            "documents.", ("business receipt", "company bill", "tax paper", "bookkeeping copy")),
    Article("Instalments", "Split the amount into three monthly debits subject to a solvency check.",
            ("pay later", "monthly rates", "spread the cost", "no full price now")),
    Article("Vouchers", "Promotional codes apply to full priced merchandise and cannot be combined.",
            ("discount code", "coupon not working", "percent off", "gift code")),
    Article("Price adjustment", "If the tariff falls within fourteen days the difference is granted as store "
            "credit.", ("cheaper now", "price dropped", "paid too much", "sale started after")),
    Article("Sizing charts", "Measure chest and waist in centimetres and compare with the garment table.",
            ("does it fit", "too small", "which size", "runs large")),
    Article("Garment care", "Wash at thirty degrees inside out; tumble drying shortens the fibres.",
            ("can I launder", "shrunk jumper", "iron it", "colour faded")),
    Article("Guarantee", "Manufacturing defects are repaired at no charge for two years from purchase.",
            ("stopped working", "warranty", "fix it free", "faulty after months")),
    Article("Spare components", "Order replacement screws, lids and batteries by the part number on the "
            "base.", ("lost a screw", "new lid", "extra battery", "part missing")),
    Article("Changing the destination", "Address corrections are possible until the consignment is sealed.",
            ("moved house", "wrong street", "deliver elsewhere", "other recipient")),
    Article("Cancelling", "A purchase can be withdrawn free of charge until dispatch.",
            ("do not want it", "stop my purchase", "ordered twice", "changed my mind")),
    Article("Collection points", "Merchandise waits ten days at the chosen locker; bring the collection "
            "number.", ("pick it up myself", "locker", "get it in store", "fetch the box")),
    Article("Customs and duties", "Outside the union import charges are due on handover.",
            ("ship abroad", "border fee", "overseas cost", "foreign tax")),
)  # fmt: skip


def help_centre(
    *, client_id: str, workload_id: str, seed: int, questions: int, start_ms: int
) -> Iterator[dict[str, Any]]:
    """Log records, oldest first: the articles as they were embedded, then `questions` searches.

    About one search in twelve shows nothing that is read, one in forty fails.
    """
    draw = random.Random(seed)
    labels = {"client_id": client_id, "workload_id": workload_id}
    request: dict[str, Any] = {"model": MODEL, "input_type": "passage"}
    texts = [f"{one.title} {one.told}" for one in ARTICLES]
    yield {"timestamp": start_ms, **labels, "request": request | {"input": texts}, "response": {"data": []}}
    read: list[int] = []
    for number in range(questions):
        wanted = draw.randrange(len(ARTICLES))
        query = _question(ARTICLES[wanted], draw)
        shown = _search(query, wanted, read, draw)
        is_read = {wanted} & set(shown)
        read = [*read[-20:], *is_read]
        answer: dict[str, Any] = {"documents": [_hit(one, used=one in is_read) for one in shown]}
        if draw.random() < 1 / 40:
            answer = {"error": "index unavailable"}
        yield {
            "timestamp": start_ms + (number + 1) * _MINUTE_MS,
            **labels,
            "session_id": f"visit-{number}",
            "request": {"model": MODEL, "input": query, "input_type": "query"},
            "response": answer,
        }


def lines(records: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """The records as lines of a log."""
    return (json.dumps(record).encode() + b"\n" for record in records)


def _question(article: Article, draw: random.Random) -> str:
    said = " ".join(draw.sample(article.asked, draw.choice((1, 2))))
    parts = [draw.choice(_OPENINGS), said, *draw.sample(_FILLERS, draw.choice((0, 1, 2)))]
    return " ".join(parts) + draw.choice(("", "?"))


def _search(query: str, wanted: int, read: list[int], draw: random.Random) -> list[int]:
    """What the help centre shows: by shared words, by what others read, and by a person's browsing."""
    words = set(query.lower().split())
    likeness = [
        len(words & set(f"{one.title} {one.told}".lower().split())) + 0.2 * read.count(number) + draw.random()
        for number, one in enumerate(ARTICLES)
    ]
    shown = sorted(range(len(ARTICLES)), key=lambda number: -likeness[number])[:_SHOWN]
    # Most people who do not see it go on looking until they find it.
    if wanted not in shown and draw.random() < 0.9:
        shown[draw.randrange(1, _SHOWN)] = wanted
    return shown


def _hit(number: int, *, used: bool) -> dict[str, Any]:
    article = ARTICLES[number]
    return {"id": f"article-{number}", "title": article.title, "text": article.told, "used": used}
