"""What the user wants now, and what was done for it: the state that the agent's rules decide on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.nemo_local.engine.production_reading import (
    Conversation,
    PastCall,
    order_ids,
)


@dataclass(frozen=True)
class Use:
    """One tool call that the agent wants to make."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Say:
    """An answer in words: the topic picks the wording, the values fill it."""

    topic: str
    values: dict[str, Any] = field(default_factory=dict)


Act = tuple[Use, ...] | Say


class CannotGoOn(Exception):
    """The next step needs a tool that is not offered or a fact that no tool gave: the agent says so."""


GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|afternoon|evening)|guten tag|moin)\b", re.IGNORECASE)
FAREWELL = re.compile(
    r"\b(thanks|thank you|thx|cheers|bye|that'?s all|that is all|perfect|great)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Matter:
    """One request of the user: since when, in which words, with which calls, and what is offered."""

    intent: str
    words: str
    calls: tuple[PastCall, ...]
    conversation: Conversation
    offered: frozenset[str]

    def done(self, name: str) -> PastCall | None:
        """The newest call of this tool for this request."""
        return next((call for call in reversed(self.calls) if call.name == name), None)

    def result(self, name: str) -> Mapping[str, Any]:
        """What the newest call of this tool answered; empty when it was not made."""
        call = self.done(name)
        return call.result if call else {}

    def require(self, name: str) -> None:
        """Raises CannotGoOn where the request offers no such tool."""
        if name not in self.offered:
            raise CannotGoOn(name)

    def once(self, name: str, **arguments: Any) -> tuple[Use, ...] | None:
        """The call, unless it was made for this request already. Raises CannotGoOn; None is no argument."""
        if self.done(name):
            return None
        self.require(name)
        if None in arguments.values():
            raise CannotGoOn(name)
        return (Use(name, arguments),)

    def orders(self) -> list[str]:
        """The orders in question: named in this request, else named or used before it."""
        here = order_ids(self.words)
        if here:
            return here
        before = order_ids(self.conversation.user_text)[-1:]
        used = [call.arguments.get("order_id") for call in self.conversation.calls]
        return before or [str(order) for order in used if order][-1:]


def find_matter(
    conversation: Conversation, intents: Sequence[tuple[str, re.Pattern[str]]], offered: frozenset[str]
) -> Matter:
    """The request that the newest turn of the user belongs to.

    A turn that raises nothing new (an order number, a "yes") belongs to the request before it. The
    intents are tried in their order; `greeting`, `farewell` and `unknown` stand for what is none of them.
    """
    said = conversation.said
    last_text = said[-1][1] if said else ""
    for back in range(len(said) - 1, -1, -1):
        position, text = said[back]
        intent = next((name for name, pattern in intents if pattern.search(text)), None)
        if intent:
            words = "\n".join(text for _, text in said[back:])
            calls = tuple(call for call in conversation.calls if call.position > position)
            return Matter(intent, words, calls, conversation, offered)
        if not (conversation.asked_by_agent or order_ids(last_text)):
            break
    intent = "unknown"
    if FAREWELL.search(last_text):
        intent = "farewell"
    elif GREETING.search(last_text):
        intent = "greeting"
    return Matter(intent, last_text, (), conversation, offered)
