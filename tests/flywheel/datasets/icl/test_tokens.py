"""The length of a request as a prompt."""

from __future__ import annotations

import json

from include.flywheel.datasets.icl.tokens import (
    MESSAGE_TOKENS,
    TEMPLATE_TOKENS,
    TOOLS_TOKENS,
    message_tokens,
    request_tokens,
)
from include.flywheel.datasets.tokens import estimate_bytes, estimate_tokens

USER = {"role": "user", "content": "Where is my parcel?"}
ANSWER = {"role": "assistant", "content": "On its way."}
TOOL = {
    "type": "function",
    "function": {
        "name": "track",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    },
}


def test_a_request_is_as_long_as_its_parts():
    both = request_tokens({"messages": [USER, ANSWER]})
    assert both == request_tokens({"messages": [USER]}) + message_tokens([ANSWER])
    assert both == TEMPLATE_TOKENS + 2 * MESSAGE_TOKENS + estimate_tokens(USER) + estimate_tokens(ANSWER)


def test_tools_count_as_the_template_indents_them():
    plain = request_tokens({"messages": [USER]})
    tools = request_tokens({"messages": [USER], "tools": [TOOL, TOOL]}) - plain - TOOLS_TOKENS
    assert tools > 1.2 * estimate_tokens([TOOL, TOOL])
    assert 0.9 * tools < estimate_bytes(json.dumps([TOOL, TOOL], indent=4).encode()) < 1.2 * tools


def test_no_tools_need_no_explanation():
    assert request_tokens({"messages": [USER], "tools": []}) == request_tokens({"messages": [USER]})
