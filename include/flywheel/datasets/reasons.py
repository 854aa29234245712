"""Why a raw record cannot be used, in words for people: the keys of the run's ledger."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a raw record is in none of the sets."""

    NOT_JSON = "not JSON"
    NOT_OBJECT = "not a JSON object"
    TORN = "torn line at the end of its file"
    TOO_DEEP = "nested too deeply"
    NO_TIMESTAMP = "timestamp missing or no Unix time"
    FAILED_CALL = "the call failed (`error`)"
    NO_REQUEST = "request missing"
    BAD_REQUEST = "request malformed"
    EMBEDDING = "embedding request (`input` instead of messages)"
    NO_MESSAGES = "request without messages"
    BAD_MESSAGE = "message malformed"
    BAD_TOOLS = "tools malformed"
    NO_RESPONSE = "response missing"
    BAD_RESPONSE = "response malformed"
    NO_CHOICES = "response without choices"
    BAD_ANSWER = "answer malformed"
    EMPTY_ANSWER = "answer without text and tool calls"
    BAD_CALL = "tool call malformed"
    BAD_ARGUMENTS = "tool-call arguments are no JSON object"
    UNKNOWN_TOOL = "calls a tool that was not offered"
    # Valid, but of another kind than the workload:
    OFFERS_NO_TOOLS = "offers no tools (the workload is tool calling)"
    CALLS_A_TOOL = "calls a tool (the workload answers in text)"
    NO_LABEL = "answer is no label (the workload is classification)"
    # Of retrieval traffic, which embedding jobs read:
    CHAT = "chat request (`messages` instead of input)"
    NO_INPUT = "request without input"
    BAD_INPUT = "input malformed"
    SEVERAL_QUERIES = "several queries in one request"
    NO_DOCUMENTS = "query without its retrieved documents"
    BAD_DOCUMENT = "retrieved document malformed"
    NONE_USED = "no retrieved document was used"


class Invalid(Exception):
    """Carries the reason out of a validating function."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
