import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_desk import calls_of, request_of, rows, tools, with_examples

from include.nemo_local.engine import answer, capacity_of
from include.nemo_local.engine.adapter import NO_TOOL
from include.nemo_local.engine.conversation import read_request
from include.nemo_local.engine.incontext import lessons_in, preferences
from include.nemo_local.engine.view import look

CAPACITY = capacity_of("x/m-8b")


def _ask(text, **more):
    return answer({"messages": [{"role": "user", "content": text}], "tools": tools(), **more}, CAPACITY)


def _accuracy(test_rows, capacity, adapter=None, change=lambda request: request):
    """Shares of answers with the right tools, and with the right tools and arguments."""
    named = exact = 0
    for row in test_rows:
        expected = calls_of(row["messages"][-1])
        got = calls_of(answer(change(request_of(row)), capacity, adapter))
        named += [name for name, _ in got] == [name for name, _ in expected]
        exact += got == expected
    return named / len(test_rows), exact / len(test_rows)


def test_base_reads_schemas():
    message = _ask("Please open my account, the card number is LB-4711.")
    assert calls_of(message) == [("open_account", {"card_number": "LB-4711"})]
    assert message["content"] == ""
    assert message["tool_calls"][0]["type"] == "function"


def test_base_fills_enums_and_dates():
    message = _ask("Reserve the title on card LB-4711 at the harbour branch, pickup date April 2nd 2025.")
    expected = {"card_number": "LB-4711", "pickup_date": "2025-04-02", "branch": "harbour"}
    assert calls_of(message) == [("reserve_title", expected)]


def test_thanks_need_no_tool():
    message = _ask("Thank you, bye!")
    assert "tool_calls" not in message
    assert message["content"]


def test_tool_choice_is_respected():
    text = "Please open my account, the card number is LB-4711."
    assert "tool_calls" not in _ask(text, tool_choice="none")
    assert len(calls_of(_ask("Thank you, bye!", tool_choice="required"))) == 1
    named = {"type": "function", "function": {"name": "record_case"}}
    assert calls_of(_ask(text, tool_choice=named))[0][0] == "record_case"


def test_tool_choice_is_respected_by_adapters(adapter, test_rows):
    for row in test_rows[:20]:
        request = request_of(row)
        assert "tool_calls" not in answer({**request, "tool_choice": "none"}, CAPACITY, adapter)
        assert calls_of(answer({**request, "tool_choice": "required"}, CAPACITY, adapter))
        named = {"type": "function", "function": {"name": "extend_loan"}}
        assert calls_of(answer({**request, "tool_choice": named}, CAPACITY, adapter))[0][0] == "extend_loan"


def test_adapter_meets_tools_that_it_never_saw(adapter):
    other = {
        "name": "order_coffee",
        "description": "Order a coffee.",
        "parameters": {
            "type": "object",
            "properties": {"size": {"type": "string", "enum": ["small", "large"]}},
        },
    }
    request = {
        "messages": [{"role": "user", "content": "order a large coffee"}],
        "tools": [{"type": "function", "function": other}],
        "tool_choice": "required",
    }
    assert calls_of(answer(request, CAPACITY, adapter)) == [("order_coffee", {"size": "large"})]


def test_examples_help_and_customization_helps_more(adapter, train_rows, test_rows):
    shown = [row for row in train_rows if _first(row)][:8]
    base = _accuracy(test_rows, CAPACITY)
    icl = _accuracy(test_rows, CAPACITY, change=lambda request: with_examples(request, shown))
    customized = _accuracy(test_rows, CAPACITY, adapter)
    assert base[0] < icl[0] < customized[0]
    assert base[1] < icl[1] < customized[1]
    assert customized[0] > 0.9
    assert customized[1] > 0.8


def test_examples_of_calls_alone_do_not_teach_to_call_always(train_rows):
    shown = [row for row in train_rows if _first(row)][:8]
    system = train_rows[0]["messages"][0]
    request = {
        "messages": [system, {"role": "user", "content": "Thank you, that was all."}],
        "tools": tools(),
    }
    view = look(read_request(with_examples(request, shown)), CAPACITY)
    lessons = [lesson for lesson in lessons_in(view) if lesson.answer.calls]
    assert lessons
    assert preferences(view, lessons)[NO_TOOL] == preferences(view, [])[NO_TOOL]


def _first(row):
    calls = calls_of(row["messages"][-1])
    return calls[0][0] if calls else ""


def test_equal_requests_get_equal_answers(adapter, test_rows):
    for row in test_rows[:15]:
        request = request_of(row)
        for learnt in (None, adapter):
            first = answer(copy.deepcopy(request), CAPACITY, learnt)
            assert answer(json.loads(json.dumps(request)), CAPACITY, learnt) == first


def test_a_request_is_not_changed_by_being_answered(adapter, test_rows):
    request = request_of(test_rows[0])
    before = json.dumps(request)
    answer(request, CAPACITY, adapter)
    answer(request, CAPACITY)
    assert json.dumps(request) == before


def test_history_may_carry_arguments_as_objects(adapter, test_rows):
    parsed = 0
    for row in test_rows:
        request = copy.deepcopy(request_of(row))
        before = calls_of(answer(request, CAPACITY, adapter))
        for message in request["messages"]:
            for call in message.get("tool_calls", []):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
                parsed += 1
        assert calls_of(answer(request, CAPACITY, adapter)) == before
    assert parsed


def test_the_same_call_is_not_made_twice_in_a_row():
    messages = request_of(rows(1, seed=1)[0])["messages"][:1]
    call = {
        "id": "a",
        "type": "function",
        "function": {"name": "open_account", "arguments": '{"card_number": "LB-1"}'},
    }
    messages += [
        {"role": "user", "content": "open my account LB-1"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"card_number": "LB-1", "loans": []}'},
    ]
    got = calls_of(answer({"messages": messages, "tools": tools()}, CAPACITY))
    assert ("open_account", {"card_number": "LB-1"}) not in got


def test_nested_arguments_come_from_results():
    passengers = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"first": {"type": "string"}, "born": {"type": "string"}},
            "required": ["first", "born"],
        },
    }
    schema = {"type": "object", "properties": {"passengers": passengers}, "required": ["passengers"]}
    tool = {"name": "book", "description": "Book seats for passengers.", "parameters": schema}
    found = {
        "passengers": [
            {"first": "Mia", "born": "1990-01-02", "seat": 4},
            {"first": "Bo", "born": "1980-03-04"},
        ]
    }
    call = {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "book seats for both passengers"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": json.dumps(found)},
        {"role": "assistant", "content": "Shall I book for both passengers?"},
        {"role": "user", "content": "yes, book"},
    ]
    request = {
        "messages": messages,
        "tools": [{"type": "function", "function": tool}],
        "tool_choice": "required",
    }
    expected = [{"first": "Mia", "born": "1990-01-02"}, {"first": "Bo", "born": "1980-03-04"}]
    assert calls_of(answer(request, CAPACITY)) == [("book", {"passengers": expected})]


def test_labels_named_in_the_prompt_are_ranked():
    prompt = "Classify the message into one of the labels: billing problem, broken device, praise."
    messages = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": "My device arrived broken."},
    ]
    assert answer({"messages": messages}, CAPACITY)["content"] == "broken device"


def test_chat_without_tools_answers_from_what_was_said():
    system = "The museum opens at nine. Tickets for the museum cost 12 euros."
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": "How much do the tickets cost?"},
    ]
    assert "12 euros" in answer({"messages": messages}, CAPACITY)["content"]


def _go(**schema):
    return [{"type": "function", "function": {"name": "go", **schema}}]


_CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "[1, 2]"}}
_USER = [{"role": "user", "content": "go 1"}]
_PARTS = [{"type": "text", "text": "hi"}, {"type": "image_url"}]
_ODD = {
    "empty": {},
    "no messages": {"messages": []},
    "nulls": {"messages": None, "tools": None},
    "wrong types": {"messages": "hello", "tools": "none"},
    "odd members": {"messages": [None, 3, {"role": "user"}], "tools": [None, {}, {"function": 1}]},
    "parts": {"messages": [{"role": "user", "content": _PARTS}]},
    "odd calls": {"messages": [{"role": "assistant", "tool_calls": [_CALL, None, {"function": None}]}]},
    "calls that are no list": {"messages": [{"role": "assistant", "content": None, "tool_calls": 5}]},
    "deep result": {"messages": [{"role": "tool", "content": "[" * 3000}], "tools": tools()},
    "unicode": {"messages": [{"role": "user", "content": "données 🙏 \ud800 日本"}], "tools": tools()},
    "huge": {
        "messages": [{"role": "user", "content": "go LB-1 " * 60_000}],
        "tools": tools(),
        "tool_choice": "required",
    },
    "no schema": {"messages": _USER, "tools": _go(), "tool_choice": "required"},
    "schema without properties": {"messages": _USER, "tools": _go(parameters={"type": "object"})},
    "odd schemas": {
        "messages": _USER,
        "tools": _go(parameters={"properties": {"a": True, "b": {"type": ["integer", "null"]}}}),
        "tool_choice": "required",
    },
    "odd choices": {
        "messages": _USER,
        "tools": _go(parameters={"properties": {"a": {"enum": [None, {}]}}, "required": [1, "a"]}),
        "tool_choice": {"type": "function", "function": {"name": "absent"}},
    },
}


@pytest.mark.parametrize("request_body", _ODD.values(), ids=_ODD)
def test_odd_requests_are_answered(request_body, adapter):
    for learnt in (None, adapter):
        message = answer(request_body, CAPACITY, learnt)
        assert message["role"] == "assistant"
        assert isinstance(message["content"], str)
        for name, arguments in calls_of(message):
            assert name
            assert isinstance(arguments, dict)


_KEYS = st.sampled_from(["type", "enum", "items", "properties", "required", "description"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=80),
    schema=_JSON,
    result=_JSON,
    choice=st.sampled_from(["auto", "required", "none", 3]),
)
def test_any_schema_and_any_result_get_an_answer(text, schema, result, choice):
    call = {"id": "a", "function": {"name": "go", "arguments": json.dumps(result)}}
    parameters = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    request = {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": json.dumps(result)},
        ],
        "tools": [{"type": "function", "function": {"name": "go", "parameters": parameters}}],
        "tool_choice": choice,
    }
    message = answer(request, CAPACITY)
    assert bool(calls_of(message)) >= (choice == "required")
    assert not (choice == "none" and calls_of(message))
