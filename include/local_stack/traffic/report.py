"""What the generator wrote, counted while it writes: what loaders and validators are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.local_stack.traffic.errors import TrafficError

NO_TOOL = "(no tool)"


@dataclass
class TrafficReport:
    """Counts of one generated log.

    `kinds` puts every line into exactly one kind: `answer` (a whole, usable record, re-asked ones included)
    or the blemish that makes it none: `duplicate_line`, `not_json`, `not_object`, `torn`, `no_timestamp`,
    `no_client_id`, `no_response`, `no_messages`, `no_choices`, `error`.
    `traits` are harmless peculiarities of `answer` lines, which may overlap: `seconds`, `object_arguments`,
    `unknown_fields`, `no_session`, `unicode`, `reasked_same`, `reasked_different`.
    `tools` counts the `answer` lines by the first tool called, or `(no tool)`.
    """

    conversations: int = 0
    lines: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    traits: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)

    @property
    def answers(self) -> int:
        """Lines that hold a whole, usable record, each counted once."""
        return self.kinds["answer"]

    @property
    def call_share(self) -> float:
        """Share of the usable records whose answer calls a tool; 0 when there are none."""
        return 1 - self.tools[NO_TOOL] / self.answers if self.answers else 0.0

    def count_answer(self, record: Mapping[str, Any], line: bytes) -> None:
        """Counts the traits that can be read off a usable record and its line."""
        message = record["response"]["choices"][0]["message"]
        calls = message.get("tool_calls") or []
        self.tools[calls[0]["function"]["name"] if calls else NO_TOOL] += 1
        if "session_id" not in record:
            self.traits["no_session"] += 1
        if not line.isascii():
            self.traits["unicode"] += 1

    def check(self) -> None:
        """Raises TrafficError when the kinds do not add up to the lines."""
        if self.lines != sum(self.kinds.values()) or self.answers != sum(self.tools.values()):
            raise TrafficError(
                f"the counts of the generated log contradict each other: {self.lines} lines, kinds "
                f"{dict(self.kinds)}, tools {dict(self.tools)}; report this as a bug of the generator"
            )

    def describe(self) -> list[str]:
        """The counts in lines for people."""
        share = f"{self.call_share:.0%} of answers call a tool"
        listed = [f"{self.lines} lines of {self.conversations} conversations, {share}"]
        for title, counts in (("kinds", self.kinds), ("traits", self.traits), ("tools", self.tools)):
            listed.append(
                f"  {title}: " + ", ".join(f"{name} {count}" for name, count in counts.most_common())
            )
        return listed
