"""Length of a request as the model reads it: estimated tokens, with what a chat template adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from include.flywheel.datasets.arguments import Message
from include.flywheel.datasets.tokens import estimate_bytes, estimate_tokens

MESSAGE_TOKENS = 5
"""Llama 3 (header of three, blank line, end mark) and ChatML put five tokens around a message."""

TEMPLATE_TOKENS = 64
"""Llama 3.1 starts every prompt with a system header and two dates: 46 to 51 tokens."""

TOOLS_TOKENS = 160
"""Llama 3.1 explains the calling of tools in 51 tokens, Qwen in about 100."""


def message_tokens(messages: Iterable[Message]) -> int:
    """Tokens of messages in a prompt; that of a whole is the sum of its parts."""
    return sum(MESSAGE_TOKENS + estimate_tokens(message) for message in messages)


def request_tokens(request: Mapping[str, Any]) -> int:
    """Tokens of a request `{messages, tools?}` as a prompt.

    The tools are measured indented, as the template of Llama 3.1 writes them.
    """
    tokens = TEMPLATE_TOKENS + message_tokens(request["messages"])
    tools = request.get("tools")
    if tools:
        tokens += TOOLS_TOKENS + estimate_bytes(orjson.dumps(tools, option=orjson.OPT_INDENT_2))
    return tokens
