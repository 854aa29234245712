"""Answers a chat-completion request: which tool, if any, with which arguments, or which text.

One path for all. Likeness to the schemas is what a model brings (base); examples in the prompt add votes
and a ranker taught on them (ICL); an adapter brings learnt weights (customized). Only the request is looked
at.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from include.nemo_local.engine.adapter import NO_TOOL, Adapter
from include.nemo_local.engine.capacity import Capacity
from include.nemo_local.engine.conversation import Tool, read_request
from include.nemo_local.engine.features import features_of
from include.nemo_local.engine.filling import fill
from include.nemo_local.engine.incontext import InContext, lessons_in, preferences
from include.nemo_local.engine.lessons import choices_of
from include.nemo_local.engine.linear import Ranker, join, softmax
from include.nemo_local.engine.replies import reply
from include.nemo_local.engine.text import words
from include.nemo_local.engine.view import View, key_of, look

_SURENESS_SHARE = 0.3
_REPEAT_COST = 2.0
_SMALL_TALK = frozenset(
    [
        "thank",
        "thanks",
        "bye",
        "goodbye",
        "hi",
        "hello",
        "hey",
        "great",
        "perfect",
        "ok",
        "okay",
        "cheers",
        "welcome",
    ]
)
_EXAMPLE_STEPS = 3
_EXAMPLE_RATE = 0.3
_EXAMPLE_START = 1e-6
_EXAMPLE_FEATURES = 4096


def _forced(choice: Any, tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], bool, bool]:
    """The tools that may be called, whether one must be, and whether none may be."""
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        named = tuple(tool for tool in tools if tool.name == name)
        return (named, True, False) if named else (tools, False, False)
    if choice == "none":
        return (), False, True
    return tools, choice in ("required", "any"), False


def _small_talk(text: str) -> bool:
    found = words(text)
    return (
        len(found) <= 12
        and bool(_SMALL_TALK & set(found))
        and "?" not in text
        and not any(w[0] == "#" for w in found)
    )


def _called_already(view: View, tool: Tool, arguments: dict[str, Any]) -> bool:
    key = key_of(arguments)
    return any(call.name == tool.name and key_of(call.arguments) == key for call in view.calls)


def _taught(lessons: list[InContext]) -> Ranker | None:
    """A ranker that saw only the examples of this prompt, in a few passes."""
    ranker = Ranker(_EXAMPLE_FEATURES, _EXAMPLE_START)
    choices = [
        (choice, lesson.weight)
        for lesson in lessons
        for choice in choices_of(lesson.view, lesson.answer, {}, ranker)
    ]
    for _ in range(_EXAMPLE_STEPS if choices else 0):
        for choice, weight in choices:
            ranker.learn(choice.rows, choice.priors, choice.answer, _EXAMPLE_RATE * weight)
    return ranker if choices else None


def _unlearnt(view: View, tools: tuple[Tool, ...], must: bool) -> tuple[dict[str, Any] | None, Tool | None]:
    """Base and ICL: the best of the likeliest tools that can be filled, or nothing where none is due."""
    lessons = lessons_in(view)
    scores = preferences(view, lessons)
    newest = view.newest
    due = must or bool(newest and not (newest.role == "user" and _small_talk(newest.text)))
    if not due or (not must and scores[NO_TOOL] > max(scores[tool.name] for tool in tools)):
        return None, None
    ranker = _taught(lessons)
    best: tuple[float, Tool, dict[str, Any]] | None = None
    for tool in sorted(tools, key=lambda tool: (-scores[tool.name], tool.name))[: view.capacity.tools_tried]:
        arguments, sureness = fill(tool, view, ranker)
        score = scores[tool.name] + _SURENESS_SHARE * sureness
        if _called_already(view, tool, arguments):
            score -= _REPEAT_COST
        if best is None or score > best[0]:
            best = score, tool, arguments
    return (best[2], best[1]) if best else (None, None)


def _learnt(
    view: View, tools: tuple[Tool, ...], must: bool, adapter: Adapter
) -> tuple[dict[str, Any] | None, Tool | None, str]:
    """Customized: the likeliest class; also the text, where the class is a label."""
    features = features_of(view, adapter.chooser.weights.shape[0])
    chances = softmax(adapter.chooser.scores(join([features])))[0]
    offered = {tool.name: tool for tool in tools}
    for position in np.argsort(-chances, kind="stable"):
        name = adapter.classes[position]
        if name in offered:
            arguments, _ = fill(offered[name], view, adapter.ranker, adapter.known)
            return arguments, offered[name], ""
        if name == NO_TOOL and not must:
            return None, None, ""
        if name[:1] == "=" and not must:
            return None, None, name[1:]
    if not tools:
        return None, None, ""
    return *_unlearnt(view, tools, must), ""  # only tools that the training never saw are offered


def _call_id(request: Mapping[str, Any], name: str, arguments: str) -> str:
    seen = json.dumps([request.get("messages"), name, arguments], sort_keys=True, default=str)
    return f"chatcmpl-tool-{hashlib.sha256(seen.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def answer(request: Mapping[str, Any], capacity: Capacity, adapter: Adapter | None = None) -> dict[str, Any]:
    """The assistant message that answers a chat-completion body; its tool arguments are a JSON string.

    Deterministic in the request, the capacity and the adapter; never fails on an odd request: what cannot
    be read counts as absent.
    """
    conversation = read_request(request)
    view = look(conversation, capacity)
    tools, must, never = _forced(request.get("tool_choice"), conversation.tools)
    arguments: dict[str, Any] | None = None
    tool: Tool | None = None
    label = ""
    if adapter is not None and not never:
        arguments, tool, label = _learnt(view, tools, must, adapter)
    elif tools and not never:
        arguments, tool = _unlearnt(view, tools, must)
    if tool is None or arguments is None:
        return {"role": "assistant", "content": label or reply(view, adapter)}
    text = json.dumps(arguments, ensure_ascii=False)
    function = {"name": tool.name, "arguments": text}
    call = {"id": _call_id(request, tool.name, text), "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [call]}
