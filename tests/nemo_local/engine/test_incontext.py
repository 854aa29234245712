"""Examples in a prompt: which answers are learnt from, and what they leave as it was."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from include.nemo_local.engine import answer, capacity_of
from include.nemo_local.engine.conversation import read_request
from include.nemo_local.engine.incontext import lessons_in, preferences
from include.nemo_local.engine.view import look

SMALL = capacity_of("meta/llama-3.2-1b-instruct")
NAMES = ["find_book", "renew_loan", "pay_fine", "close_account", "reserve_room"]


def tool(name):
    description = name.replace("_", " ").capitalize() + "."
    parameters = {"type": "object", "properties": {"card": {"type": "string"}}}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def called(name, number, result="OK"):
    call = {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps({"card": f"C-{4000 + number}"})},
    }
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": result},
    ]


def long_example(name, number):
    """One whose call needs what was said two turns before, with a look-up and talk on the way."""
    loans = json.dumps({"loans": [f"L-{number}"]})
    return [
        user(f"It is about my card C-{4000 + number}"),
        *called("find_book", number + 500, loans),
        said("What shall I do with it?"),
        user("You tell me"),
        said(f"I could do {name} now, shall I?"),
        user("Yes please"),
        *called(name, number),
    ]


def request(*messages):
    return {
        "messages": [{"role": "system", "content": "A library."}, *messages],
        "tools": list(map(tool, NAMES)),
    }


def view_of(*messages):
    return look(read_request(request(*messages)), SMALL)


def test_an_example_begins_where_the_values_of_its_call_are_said():
    conversation = read_request(request(*long_example("renew_loan", 1), user("Close my account")))
    assert [example.calls[0].name for example in conversation.examples] == ["renew_loan"]
    assert conversation.examples[0].turns[0].text == "It is about my card C-4001"
    assert [turn.text for turn in conversation.turns] == ["Close my account"]


def test_an_answer_in_text_before_an_unrelated_call_is_an_example_by_itself():
    shown = [user("Are you open?"), said("Until eight."), user("My card is C-4001"), *called("pay_fine", 1)]
    conversation = read_request(request(*shown, user("Close my account")))
    assert [example.text or example.calls[0].name for example in conversation.examples] == [
        "Until eight.",
        "pay_fine",
    ]


def test_long_examples_do_not_use_up_the_places_of_others():
    names = ["renew_loan", "pay_fine", "close_account", "reserve_room"]
    shown = [turn for number, name in enumerate(names) for turn in long_example(name, number)]
    lessons = lessons_in(view_of(*shown, user("Hello there")))
    called_at_ends = [lesson.answer.calls[0].name for lesson in lessons if lesson.answer.calls]
    assert [name for name in called_at_ends if name != "find_book"] == names
    talk = [lesson.weight for lesson in lessons if not lesson.answer.calls]
    assert len(talk) == 2 * len(names)
    assert max(talk) < min(lesson.weight for lesson in lessons if lesson.answer.calls)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(NAMES[:4]), min_size=1, max_size=8))
def test_a_tool_that_no_example_shows_keeps_its_score(names):
    shown = [turn for n, name in enumerate(names) for turn in [user(f"card C-{4000 + n}"), *called(name, n)]]
    asked = user("please reserve a room, card C-4999")
    without, view = view_of(asked), view_of(*shown, asked)
    before, after = preferences(without, lessons_in(without)), preferences(view, lessons_in(view))
    unshown = set(NAMES) - {lesson.answer.calls[0].name for lesson in lessons_in(view)}
    assert "reserve_room" in unshown
    assert {name: after[name] for name in unshown} == {name: before[name] for name in unshown}


def test_examples_of_other_things_leave_a_good_guess():
    asked = user("please reserve a room, card C-4999")
    shown = [turn for n, name in enumerate(NAMES[:4]) for turn in [user(f"card C-{n}"), *called(name, n)]]
    for messages in ([asked], [*shown, asked]):
        assert answer(request(*messages), SMALL)["tool_calls"][0]["function"]["name"] == "reserve_room"
