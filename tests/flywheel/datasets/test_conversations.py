"""Steps of one conversation: by session, or because one request's messages begin another's."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.datasets import conversations
from include.flywheel.datasets.conversations import Prefixes


def asked(*texts):
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]


def test_an_agent_loop_without_session_is_one_conversation_and_keeps_every_step(gathered, document):
    steps = [document(n, messages=asked(*"abcdefg"[: 2 * n + 1])) for n in range(4)]
    alone = document(9, messages=asked("z"))
    found = gathered([steps[2], alone, steps[0], steps[3], steps[1]])
    assert len(found.requests) == 5
    grouping = found.requests.grouping
    assert (grouping.conversations, grouping.by_messages, grouping.single, grouping.largest) == (2, 1, 1, 4)


def test_a_missing_step_does_not_part_the_others(gathered, document):
    found = gathered([document(1, messages=asked("a")), document(2, messages=asked(*"abcde"))])
    assert found.requests.grouping.by_messages == 1


def test_siblings_of_one_beginning_are_grouped_by_it(gathered, document):
    branches = [document(n, messages=asked("a", "b", f"c{n}")) for n in range(3)]
    assert gathered(branches).requests.grouping.single == 3
    assert gathered([*branches, document(9, messages=asked("a"))]).requests.grouping.largest == 4


def test_arguments_as_text_or_object_do_not_part_steps(gathered, document):
    def history(arguments):
        call = {"id": "h", "type": "function", "function": {"name": "track", "arguments": arguments}}
        return [*asked("a"), {"role": "assistant", "content": None, "tool_calls": [call]}]

    first = document(1, messages=history('{"x": 1}'))
    second = document(2, messages=[*history({"x": 1}), {"role": "user", "content": "b"}])
    assert gathered([first, second]).requests.grouping.by_messages == 1


def test_sessions_are_believed(gathered, document):
    same_opening = [document(n, session=f"s{n}", messages=asked("hi", *"ab"[: 2 * n])) for n in range(2)]
    grouping = gathered(same_opening).requests.grouping
    assert (grouping.conversations, grouping.by_session) == (2, 2)


def test_no_step_of_a_grouped_conversation_trains_when_another_is_held_out(build, document, raws):
    documents = [
        document(10 * talk + step, messages=asked(*[f"{talk}.{n}" for n in range(2 * step + 1)]))
        for talk in range(12)
        for step in range(3)
    ]
    built = build(raws(documents), eval_size=7, icl=None, val_ratio=0.3)
    where = defaultdict(set)
    for name in ("train", "val", "eval"):
        for row in built.rows(name):
            messages = row["messages"] if "messages" in row else row["request"]["messages"]
            where[messages[0]["content"].split(".")[0]].add(name)
    assert all(len(sets) == 1 for sets in where.values())
    assert built.report.ledger.held_out_with_conversation == 2
    assert len({row["conversation_id"] for row in built.rows("eval")}) == 3


_talk = st.lists(st.integers(0, 2), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(_talk, min_size=1, max_size=30), st.integers(1, 9), st.randoms(use_true_random=False))
def test_for_all_requests_the_groups_are_those_of_the_definition(tmp_path_factory, talks, held, rng):
    order = rng.sample(range(len(talks)), len(talks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "_HELD", held)  # so that even a few beginnings go to the file
        patch.setattr(conversations, "_CHUNK", held)
        prefixes = Prefixes(tmp_path_factory.getbasetemp())
        for number in order:
            talk = talks[number]
            prefixes.add(number, [hash(tuple(talk[:end])) for end in range(1, len(talk) + 1)])
        records, groups = prefixes.groups()
        prefixes.close()
    found = dict(zip(records.tolist(), groups.tolist(), strict=True))
    assert {frozenset(n for n in found if found[n] == group) for group in set(found.values())} == _naive(
        talks
    )


def _naive(talks):
    groups = [{n} for n in range(len(talks))]
    for a, first in enumerate(talks):
        for b, second in enumerate(talks):
            if second[: len(first)] == first:
                mine, other = (next(group for group in groups if n in group) for n in (a, b))
                if mine is not other:
                    groups.remove(other)
                    mine |= other
    return {frozenset(group) for group in groups}


def test_the_order_of_reading_does_not_matter(build, document, raws):
    documents = [
        document(10 * talk + step, messages=asked(*[f"{talk}.{n}" for n in range(2 * step + 1)]))
        for talk in range(8)
        for step in range(3)
    ]
    shuffled = random.Random(3).sample(documents, len(documents))
    assert build(raws(documents)).files == build(raws(shuffled)).files
