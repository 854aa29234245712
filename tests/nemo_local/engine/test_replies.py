"""Answers in text: what is remembered, shown, named as a label, or extracted."""

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from include.nemo_local.engine import Adapter, answer, capacity_of
from include.nemo_local.engine.blanks import filled, with_blanks
from include.nemo_local.engine.labelling import labels_named
from include.nemo_local.engine.memory import Memory

CAPACITY = capacity_of("x/m-8b")
_CODES = st.lists(st.integers(0, 30), max_size=8, unique=True)


@given(st.lists(st.tuples(_CODES, st.text(max_size=4)), max_size=6), _CODES)
def test_likeness_is_a_cosine(pairs, asked):
    memory = Memory(pairs)
    found = memory.likeness(asked)
    assert found.shape == (len(pairs),)
    assert ((found >= 0) & (found <= 1 + 1e-9)).all()
    for (codes, _), likeness in zip(pairs, found, strict=True):
        assert bool(likeness > 0) == bool(set(codes) & set(asked))
        if codes and set(codes) == set(asked):
            assert likeness == pytest.approx(1)


def test_a_rare_word_tells_more_than_a_common_one():
    memory = Memory([([1, 2], "a"), ([1, 3], "b"), ([1, 4], "c"), ([5], "d")])
    assert next(memory.recall([1, 3], 0.2)) == "b"
    assert list(memory.recall([1, 3], 0.99)) == ["b"]
    assert list(memory.recall([9], 0.2)) == []
    assert list(memory.recall([], 0.2)) == []
    assert list(Memory().recall([1], 0.0)) == []


def test_learnt_answers_come_back_from_the_file(tmp_path):
    adapter = samples.learnt(CAPACITY, samples.rows("answers", 60, seed=1))
    adapter.save(tmp_path / "adapter.npz")
    loaded = Adapter.load(tmp_path / "adapter.npz")
    assert loaded.digest == adapter.digest
    for row in samples.rows("answers", 20, seed=5):
        request = {"messages": row["messages"][:-1]}
        assert answer(request, CAPACITY, loaded) == answer(request, CAPACITY, adapter)


def test_what_is_unlike_all_that_was_learnt_is_extracted():
    adapter = samples.learnt(CAPACITY, samples.rows("answers", 60, seed=1))
    system = {"role": "system", "content": "The ferry to Brolin leaves at noon. It is blue."}
    asked = {"role": "user", "content": "From which quay is the ferry to Brolin?"}
    content = answer({"messages": [system, asked]}, CAPACITY, adapter)["content"]
    assert content == "The ferry to Brolin leaves at noon."


def test_prompts_and_completions_are_learnt_as_turns():
    told = "The water of the {} has {} degrees, and that is what most of our guests like best."
    made = [
        {"prompt": f"how warm is the {place} water", "completion": told.format(place, degrees)}
        for degrees, place in enumerate(["lake", "river", "sauna"], 12)
    ]
    adapter = samples.learnt(CAPACITY, made)
    asked = {"messages": [{"role": "user", "content": "is the river water warm"}]}
    assert "river has 13 degrees" in answer(asked, CAPACITY, adapter)["content"]


@pytest.mark.parametrize(
    ("prompt", "labels"),
    [
        ("Choose one of the labels: red, green or blue.", ["red", "green", "blue"]),
        ("Categories:\n- late delivery\n- refund\n\nAnswer with one.", ["late delivery", "refund"]),
        ("Be brief.", []),
        ("The label: red.", []),
    ],
)
def test_labels_are_read_from_the_prompt(prompt, labels):
    assert labels_named(prompt) == labels


def test_only_labels_of_the_prompt_are_answered():
    system = {"role": "system", "content": "Answer with one of the labels: north, south."}
    shown = [
        {"role": "user", "content": "cold wind and snow"},
        {"role": "assistant", "content": "north"},
        {"role": "user", "content": "cold palms and sand"},
        {"role": "assistant", "content": "elsewhere"},
    ]
    asked = {"role": "user", "content": "palms and sand and snow"}
    assert answer({"messages": [system, *shown, asked]}, CAPACITY)["content"] == "north"


def test_values_of_another_case_are_not_repeated():
    made = [
        {
            "messages": [
                {"role": "user", "content": f"Is the order SO-{n} paid?"},
                {
                    "role": "assistant",
                    "content": f"The payment of SO-{n} has reached us, so all of it is on its way.",
                },
            ]
        }
        for n in (4711, 4712, 4713)
    ]
    adapter = samples.learnt(CAPACITY, made)
    asked = {"messages": [{"role": "user", "content": "is my order SO-9876 paid?"}]}
    assert answer(asked, CAPACITY, adapter)["content"].startswith("The payment of SO-9876 has")
    nameless = {"messages": [{"role": "user", "content": "is my order paid?"}]}
    assert "SO-" not in answer(nameless, CAPACITY, adapter)["content"]


@pytest.mark.parametrize(
    ("said", "told", "now", "then"),
    [
        ("SO-1 or SO-2", "SO-2, not SO-1", "SO-8 or SO-9", "SO-9, not SO-8"),
        ("mail a@b.org, I am 12", "sent to a@b.org at 12", "c.d@e.net", "sent to c.d@e.net at 12"),
        ("nothing", "call 555-1234", "SO-1", "call 555-1234"),
        ("SO-1", "SO-1 and SO-12", "SO-7", "SO-7 and SO-12"),
        ("SO-1", "it is SO-1", "no number", None),
        ("from 2025-01-02", "on 2025-01-02", "on 2024-12-31 then", "on 2024-12-31"),
    ],
)
def test_blanks_take_the_value_in_the_same_place(said, told, now, then):
    assert filled(with_blanks(told, said), now) == then


_SAID = st.lists(
    st.sampled_from(["SO-1", "SO-22", "SO-222", "a@b.co", "12345", "X16", "A-0", "and", "\0"])
    | st.text(max_size=5)
).map(" ".join)


@given(_SAID, _SAID)
def test_an_answer_is_whole_again_for_the_same_words(told, said):
    assert filled(with_blanks(told, said), said) == told.replace("\0", "")
