"""A chat-completion request as the models read it.

The wire is forgiving: contents may be null, strings or lists of parts, arguments may be JSON strings or
objects, and whatever is none of it is read as empty. Examples that stand in the prompt as turns (user,
assistant with its calls, a short tool message, then the next user turn) are told apart from the
conversation itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

_NEUTRAL_RESULT_CHARS = 120
_KNOWN_AGAIN_CHARS = 3
MAX_TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: the tool's name and its arguments as an object."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    `text` is cut to the newest 20,000 characters; `tool` names who answered, on a tool turn.
    """

    role: str
    text: str
    calls: tuple[Call, ...] = ()
    tool: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """An offered function.

    `properties` maps parameter names to their schemas; all are plain dictionaries. Tools of equal requests
    are the same objects.
    """

    name: str
    description: str
    properties: dict[str, dict[str, Any]]
    required: frozenset[str]


@dataclass(frozen=True, slots=True)
class Example:
    """What stood before an answer, and the calls that answered it (none: the answer was text)."""

    turns: tuple[Turn, ...]
    calls: tuple[Call, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request, read: instructions, examples in the prompt, the conversation's own turns, tools offered."""

    system: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    examples: tuple[Example, ...] = field(default=())

    def last(self, role: str) -> str:
        """The newest text of a role that is not empty; "" where there is none."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == role and turn.text), "")


def text_of(content: Any) -> str:
    """The text of a message's content: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content[-MAX_TEXT_CHARS:]
    if isinstance(content, list):
        parts = (part.get("text", "") if isinstance(part, Mapping) else part for part in content)
        return "\n".join(part for part in parts if isinstance(part, str))[-MAX_TEXT_CHARS:]
    return ""


@lru_cache(maxsize=8192)
def _parsed_arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def arguments_of(value: Any) -> dict[str, Any]:
    """Arguments as an object, whether they came as a JSON string or parsed; {} for anything else."""
    if isinstance(value, str):
        value = _parsed_arguments(value)
    return dict(value) if isinstance(value, Mapping) else {}


def calls_of(message: Mapping[str, Any]) -> tuple[Call, ...]:
    """The tool calls of an assistant message; entries without a function name are left out."""
    found = message.get("tool_calls")
    calls = []
    for entry in found if isinstance(found, list) else []:
        function = entry.get("function") if isinstance(entry, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str) and function["name"]:
            calls.append(Call(function["name"], arguments_of(function.get("arguments"))))
    return tuple(calls)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def read_tools(tools: Any) -> tuple[Tool, ...]:
    """The functions offered; what has no name is left out, the first of two with one name counts."""
    if not isinstance(tools, list) or not tools:
        return ()
    return _tools_of(json.dumps(tools, default=str))


@lru_cache(maxsize=256)
def _tools_of(text: str) -> tuple[Tool, ...]:
    read: dict[str, Tool] = {}
    for entry in json.loads(text):
        function = _mapping(_mapping(entry).get("function"))
        name = function.get("name")
        if not isinstance(name, str) or not name or name in read:
            continue
        schema = _mapping(function.get("parameters"))
        properties = {str(k): _mapping(v) for k, v in _mapping(schema.get("properties")).items()}
        required = schema.get("required")
        names = {r for r in required if isinstance(r, str)} if isinstance(required, list) else set()
        description = function.get("description")
        read[name] = Tool(
            name,
            description if isinstance(description, str) else "",
            properties,
            frozenset(names & set(properties)),
        )
    return tuple(read.values())


def read_turns(messages: Any) -> tuple[str, list[Turn]]:
    """System text and the other turns in order; messages that are not objects are left out."""
    system: list[str] = []
    turns: list[Turn] = []
    callers: dict[str, str] = {}
    for message in messages if isinstance(messages, list) else []:
        if not isinstance(message, Mapping):
            continue
        role, text = message.get("role"), text_of(message.get("content"))
        if role in ("system", "developer"):
            system.append(text)
        elif role == "assistant":
            made = message.get("tool_calls")
            for entry in made if isinstance(made, list) else []:
                if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
                    callers[entry["id"]] = str(_mapping(entry.get("function")).get("name") or "")
            turns.append(Turn("assistant", text, calls_of(message)))
        elif role in ("tool", "function"):
            caller = message.get("name") or callers.get(str(message.get("tool_call_id")), "")
            turns.append(Turn("tool", text, (), caller if isinstance(caller, str) else ""))
        else:
            turns.append(Turn("user", text))
    return "\n".join(system), turns


def _neutral_results(segment: list[Turn]) -> tuple[str, ...] | None:
    """The tool messages that end a segment after an assistant's calls; None unless short and no data."""
    end = len(segment)
    while end and segment[end - 1].role == "tool":
        end -= 1
    texts = tuple(turn.text.strip() for turn in segment[end:])
    if not texts or not end or not segment[end - 1].calls:
        return None
    if any(len(text) > _NEUTRAL_RESULT_CHARS or text[:1] in ("{", "[") for text in texts):
        return None
    return texts


def _split_examples(turns: list[Turn]) -> tuple[list[Example], list[Turn]]:
    """The examples at the start, and the conversation after them.

    An example that answers with calls ends in neutral tool results and the next user turn, where a real agent
    would have gone on from the results: that tells examples apart. It begins with a user turn: its last one,
    or an earlier one where only there the values of its calls are said. A user turn answered in text
    that belongs to no such example is one by itself; after the last example with calls it cannot be told from
    the conversation's own beginning, and is left there.
    """
    starts = [position for position, turn in enumerate(turns) if turn.role == "user"]
    if len(starts) < 2 or starts[0] != 0:
        return [], turns
    segments = [turns[start:end] for start, end in pairwise(starts)]
    results = [_neutral_results(segment) for segment in segments]
    neutral = next((texts[0] for texts in results if texts), None)
    marked = [n for n, texts in enumerate(results) if texts and set(texts) == {neutral}]
    if not marked:
        return [], turns
    examples: list[Example] = []
    free = 0
    for mark in marked:
        begin = _begin(segments, free, mark)
        spans = [*((n, n + 1) for n in range(free, begin)), (begin, mark + 1)]
        examples += filter(None, (_example(segments[first:end]) for first, end in spans))
        free = mark + 1
    return examples, turns[starts[free] :]


def _example(segments: list[list[Turn]]) -> Example | None:
    """What stood before the last answer of the segments, and that answer; None without any."""
    turns = [turn for segment in segments for turn in segment]
    last = max((n for n, turn in enumerate(turns) if turn.role == "assistant"), default=0)
    return Example(tuple(turns[:last]), turns[last].calls, turns[last].text) if last else None


def _begin(segments: list[list[Turn]], free: int, mark: int) -> int:
    """The segment, not before `free`, from which on every value of the marked segment's calls can be read."""
    answer = max(n for n, turn in enumerate(segments[mark]) if turn.calls)
    before = [*segments[free:mark], segments[mark][:answer]]
    texts = ["\n".join(turn.text for turn in segment) for segment in before]
    begin = len(before) - 1
    for value in _told(call.arguments for call in segments[mark][answer].calls):
        places = [n for n, text in enumerate(texts) if value in text]
        begin = min(begin, *places[-1:]) if places else begin
    return free + begin


def _told(values: Iterable[Any]) -> Iterator[str]:
    """Texts and numbers within values that are long enough to be known again."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _told(value.values())
        elif isinstance(value, list):
            yield from _told(value)
        elif isinstance(value, str | int | float) and len(str(value)) >= _KNOWN_AGAIN_CHARS:
            yield str(value)


def read_request(request: Mapping[str, Any]) -> Conversation:
    """Reads a chat-completion body; anything malformed in it is read as absent."""
    system, turns = read_turns(request.get("messages"))
    examples, own = _split_examples(turns)
    return Conversation(system, tuple(own), read_tools(request.get("tools")), tuple(examples))


def read_row(row: Mapping[str, Any]) -> tuple[Conversation, Turn] | None:
    """A training row as the conversation before the answer, and the answer; None where no answer ends it.

    `{"prompt", "completion"}` is read as one turn of the user and its answer.
    """
    messages = row.get("messages")
    if messages is None and isinstance(row.get("prompt"), str):
        said = {"role": "user", "content": row["prompt"]}
        messages = [said, {"role": "assistant", "content": row.get("completion")}]
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], Mapping):
        return None
    last = messages[-1]
    calls, text = calls_of(last), text_of(last.get("content"))
    if last.get("role") != "assistant" or not (calls or text.strip()):
        return None
    return read_request({"messages": messages[:-1], "tools": row.get("tools")}), Turn(
        "assistant", text, calls
    )
