import json

import pytest

from include.nemo_local.engine import capacity_of
from include.nemo_local.engine.candidates import candidates_for
from include.nemo_local.engine.conversation import read_request
from include.nemo_local.engine.slots import says, slots_of
from include.nemo_local.engine.text import code
from include.nemo_local.engine.view import look


def _candidates(messages, schema, size="8b", name="tier"):
    function = {"name": "price", "parameters": {"properties": {name: schema}, "required": [name]}}
    conversation = read_request({"messages": messages, "tools": [{"function": function}]})
    (slot,) = slots_of(conversation.tools[0])
    return {
        each.value: each for each in candidates_for(slot, look(conversation, capacity_of(f"x/m-{size}")), {})
    }


def _user(text):
    return {"role": "user", "content": text}


TIERS = {"type": "string", "enum": ["T1", "T2", "T3"]}


def test_a_choice_is_found_in_a_result_under_a_key_of_another_name():
    result = {"role": "tool", "content": json.dumps({"account": "AC-1", "price_tier": "T2"})}
    found = _candidates([_user("a price please"), result], TIERS)
    assert max(found.values(), key=lambda each: each.prior).value == "T2"


def test_the_key_that_is_most_like_the_argument_counts():
    result = {"role": "tool", "content": json.dumps({"shelf": "T2", "price_tier": "T2"})}
    assert _candidates([_user("a price"), result], TIERS)["T2"].path == ""
    codes = _candidates([_user("a price"), result], TIERS)["T2"].codes
    assert code("first path price_tier") in codes
    assert code("first path shelf") not in codes


@pytest.mark.parametrize(
    ("text", "phrase", "said"),
    [
        ("in size L, please", "l", True),
        ("a small table", "l", False),
        ("basic-economy!", "basic economy", True),
        ("economy basic", "basic economy", False),
    ],
)
def test_a_choice_is_spoken_of_by_whole_words(text, phrase, said):
    assert says(text, phrase) is said


@pytest.mark.parametrize("size", ["1b", "8b"])
def test_what_the_user_says_counts_beside_a_long_answer_of_the_assistant(size):
    said = " ".join(f"aaa{letter}bb" for letter in "abcdefghijklmnopqrstuvwxyz" for _ in range(3))
    messages = [_user("hello"), {"role": "assistant", "content": said}, _user("zebra refund")]
    words = dict(_candidates(messages, TIERS, size)["T1"].words)
    own = code("value T1")
    newest = [words[code(f"u0 {word}") ^ own] for word in ("zebra", "refund")]
    assert min(newest) > max(value for word, value in words.items() if value not in newest)


def test_bigger_models_read_more_of_what_was_said():
    messages = [
        _user("refund the broken lamp"),
        {"role": "assistant", "content": "which order?"},
        _user("that one"),
    ]
    small, big = (_candidates(messages, TIERS, size)["T1"].words for size in ("1b", "8b"))
    own = code("value T1")
    assert code("u1 refund") ^ own in dict(big)
    assert code("u1 refund") ^ own not in dict(small)
