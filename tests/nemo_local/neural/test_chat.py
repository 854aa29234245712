"""Prompts and answers as tokens and back; needs the tokenizer's library, no model."""

import json

import order_desk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="the extra 'neural' is not installed: pip install -e '.[neural]'")

from include.nemo_local.neural import primer
from include.nemo_local.neural.chat import example_of, message_of, prompt_of
from include.nemo_local.neural.vocabulary import Control, Vocabulary

CONTEXT = 256
VOCABULARY = Vocabulary.learn(primer.texts(100, seed=1), 512)
ROW = order_desk.rows(1, seed=1)[0]


def _answer(row, **request):
    """What comes back of a row's answer."""
    example = example_of(row, VOCABULARY, CONTEXT)
    written = example.ids[example.start : -1]
    return message_of({"messages": row["messages"][:-1], **request}, written, VOCABULARY, ended=True)


@given(st.text(max_size=60))
def test_any_text_comes_back(text):
    said = text.encode("utf-8", "replace").decode()
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == said
    assert max(VOCABULARY.encode(text), default=0) < VOCABULARY.id_of(Control.PAD)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12) | st.integers() | st.none(), max_size=3))
def test_any_call_comes_back(arguments):
    call = {"type": "function", "function": {"name": "do_it", "arguments": json.dumps(arguments)}}
    row = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call, call]}]}
    if example_of(row, VOCABULARY, CONTEXT).ids[-1] != VOCABULARY.id_of(Control.END):
        return
    made = [each["function"] for each in _answer(row)["tool_calls"]]
    assert [(each["name"], json.loads(each["arguments"])) for each in made] == [("do_it", arguments)] * 2


def test_calls_of_one_answer_have_different_ids():
    row = json.loads(json.dumps(ROW))
    row["messages"][-1]["tool_calls"] *= 2
    assert len({call["id"] for call in _answer(row)["tool_calls"]}) == 2


def test_a_call_that_is_not_whole_is_given_as_text():
    written = [VOCABULARY.id_of(Control.CALL), *VOCABULARY.encode('track{"order_id":"W1')]
    message = message_of({}, written, VOCABULARY, ended=False)
    assert message == {"role": "assistant", "content": 'track{"order_id":"W1', "finish_reason": "length"}


@pytest.mark.parametrize(
    ("request_", "begins"),
    [
        ({"tools": order_desk.TOOLS}, ""),
        ({"tools": order_desk.TOOLS, "tool_choice": "none"}, "TEXT"),
        ({}, "TEXT"),
        ({"tools": order_desk.TOOLS, "tool_choice": "required"}, "CALL"),
        (
            {
                "tools": order_desk.TOOLS,
                "tool_choice": {"type": "function", "function": {"name": "open_claim"}},
            },
            "CALL open_claim{",
        ),
    ],
)
def test_tool_choice_begins_the_answer(request_, begins):
    _, forced = prompt_of({"messages": [], **request_}, VOCABULARY, CONTEXT)
    parts = VOCABULARY.split(forced)
    assert " ".join(f"{control.name} {text}".strip() for control, text in parts) == begins


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 400), st.integers(0, 40), st.integers(0, 12))
def test_a_prompt_leaves_room_and_keeps_the_newest_turn(words, tools, turns):
    said = [{"role": "user", "content": "word " * words + str(turn)} for turn in range(turns)]
    request = {"messages": [{"role": "system", "content": "rules " * words}, *said]}
    request["tools"] = order_desk.TOOLS[:1] + [
        {"type": "function", "function": {"name": f"tool_number_{n}"}} for n in range(tools)
    ]
    prompt, forced = prompt_of(request, VOCABULARY, CONTEXT)
    assert len(prompt) + len(forced) < CONTEXT
    users = [text for control, text in VOCABULARY.split(prompt) if control is Control.USER]
    assert [text.split()[-1] for text in users] == [str(turn) for turn in range(turns)][turns - len(users) :]
    assert bool(users) == bool(turns)


def test_a_row_without_an_answer_is_no_example():
    assert example_of({"messages": [{"role": "user", "content": "x"}]}, VOCABULARY, CONTEXT) is None


def test_a_vocabulary_is_read_as_it_was_written():
    again = Vocabulary.load(VOCABULARY.dump())
    assert again.encode("order W123: the invoice") == VOCABULARY.encode("order W123: the invoice")
    with pytest.raises(ValueError, match="no tokenizer"):
        Vocabulary.load("{}")


def test_generic_rows_are_the_same_for_the_same_seed_and_all_usable():
    rows = list(primer.rows(200, seed=3))
    assert rows == list(primer.rows(200, seed=3))
    assert rows != list(primer.rows(200, seed=4))
    for row in rows:
        example = example_of(row, VOCABULARY, 640)
        assert example.ids[-1] == VOCABULARY.id_of(Control.END)
        assert len(example.ids) <= 640
