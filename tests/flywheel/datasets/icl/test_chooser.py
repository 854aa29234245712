"""The choice of in-context examples: which, how many and in which order, and what is told of it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from include.flywheel.datasets.icl.chooser import ExampleChooser
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.icl.pool import POOL_RECORDS, POOL_SIZE, ExamplePool
from include.flywheel.datasets.icl.report import IclImpossible
from include.flywheel.datasets.icl.tokens import message_tokens, request_tokens
from include.flywheel.datasets.records import NO_TOOL, Call, Record

WIDE = IclConfig()
SIMILAR = IclConfig(example_selection="semantic_similarity")
TOOLS = ["get_order", "refund", "track", "rare"]


def _tools(names):
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names]


def _request(text="what now?", tools=TOOLS):
    request = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}
    return request | ({"tools": _tools(tools)} if tools else {})


def _record(text, label=NO_TOOL, said="Done."):
    calls = [] if label == NO_TOOL else [Call(label, {"why": "x"}, "c1")]
    return Record(
        timestamp_ms=0,
        session_id="s",
        messages=_request(text)["messages"],
        tools=_tools(TOOLS),
        tool_choice="auto",
        content="" if calls else said,
        calls=calls,
        response_id=None,
    )


def _pool(labels=(*TOOLS, NO_TOOL), count=10, words=lambda n: 5):
    """`count` records of each label; record n has so many words."""
    records, rows = [], {}
    for label in labels:
        for n in range(count):
            rows.setdefault(label, []).append(len(records))
            records.append(_record(f"{label} case {len(records)}" + " word" * words(n), label))
    return ExamplePool(rows, records.__getitem__)


def _config(room, **options):
    """A context in which the plain request leaves so many tokens."""
    length = request_tokens(_request()) + room + 100
    return IclConfig(max_context_length=length, reserved_tokens=100, **options)


def _asked(turns):
    return turns[0]["content"]


def _label(turns):
    return next((c["function"]["name"] for turn in turns for c in turn.get("tool_calls", ())), NO_TOOL)


def _numbers(examples):
    return [int(_asked(turns).split(" case ")[1].split()[0]) for turns in examples]


def test_call_ids_are_unique_in_a_request_and_results_follow_their_calls():
    examples = ExampleChooser(_pool(["refund"]), WIDE).choose(_request())
    calls = [call["id"] for turns in examples for turn in turns for call in turn.get("tool_calls", [])]
    assert len(examples) == len(set(calls)) == 3
    assert calls == [turn["tool_call_id"] for turns in examples for turn in turns if turn["role"] == "tool"]


@pytest.mark.parametrize("labels", [TOOLS, [NO_TOOL], [*TOOLS, NO_TOOL]])
def test_labels_are_shown_equally_often_also_when_there_are_more_than_places(labels):
    chooser = ExampleChooser(_pool(labels), WIDE)
    for _ in range(50):
        assert len(chooser.choose(_request())) == 3
    shown = chooser.report().labels
    assert shown.keys() == set(labels)
    assert max(shown.values()) - min(shown.values()) <= 1
    assert sum(shown.values()) == 150


def test_the_rarest_labels_come_first():
    records = [_record(f"case {n}", "track" if n == 7 else "refund") for n in range(20)]
    rows = {"refund": [n for n in range(20) if n != 7], "track": [7]}
    [example] = ExampleChooser(ExamplePool(rows, records.__getitem__), IclConfig(max_examples=1)).choose(
        _request()
    )
    assert _label(example) == "track"


def test_examples_of_one_request_are_different_records():
    chooser = ExampleChooser(_pool(["refund", "track"]), IclConfig(max_examples=8))
    for _ in range(5):
        assert len(set(_numbers(chooser.choose(_request())))) == 8


@pytest.mark.parametrize("config", [WIDE, SIMILAR])
def test_only_offered_tools_are_shown(config):
    chooser = ExampleChooser(_pool(), config)
    for _ in range(4):
        chooser.choose(_request("track case 3", tools=["refund"]))
    report = chooser.report()
    assert report.labels.keys() == {"refund", NO_TOOL}
    assert report.not_shown["track"] == "no request offers all tools of an example"


def test_the_longest_that_leaves_the_others_their_share_is_taken():
    pool = _pool([NO_TOOL], words=lambda n: 20 * n)
    lengths = [message_tokens(pool.turns(n, one.forms[0], 1)) for n, one in enumerate(pool.candidates)]
    room = 3 * sorted(lengths)[5]
    examples = ExampleChooser(pool, _config(room)).choose(_request())
    # 4 leaves enough for 6.
    assert sorted(_numbers(examples)) == [4, 5, 6]
    [one] = ExampleChooser(pool, _config(max(lengths), max_examples=1)).choose(_request())
    assert _numbers([one]) == [9]


def test_an_example_beyond_its_share_is_taken_where_no_other_is_there():
    pool = _pool([NO_TOOL], count=1, words=lambda n: 100)
    room = pool.candidates[0].forms[0].tokens
    chooser = ExampleChooser(pool, _config(room))
    assert len(chooser.choose(_request())) == 1
    assert chooser.report().unfilled == {"no other example for the tools offered": 2}


def test_fewer_than_the_minimum_is_none():
    pool = _pool(["refund"], count=2, words=lambda n: 100)
    room = max(one.forms[0].tokens for one in pool.candidates) + 5
    assert len(ExampleChooser(pool, _config(room)).choose(_request())) == 1
    chooser = ExampleChooser(pool, _config(room, min_examples=2))
    assert chooser.choose(_request()) == []
    with pytest.raises(IclImpossible, match=r"none of the 1 items .*icl\.min_examples"):
        chooser.report()


@pytest.mark.parametrize("config", [WIDE, SIMILAR])
def test_the_near_duplicate_is_shown_next_to_the_question(config):
    text = "my parcel to Leeds is late, where is the driver"
    records = [_record(f"refund case {n}", "refund") for n in range(20)]
    records.append(_record(text + "?", "track"))
    pool = ExamplePool({"refund": range(20), "track": [20]}, records.__getitem__)
    examples = ExampleChooser(pool, config).choose(_request(text))
    assert text + "?" in [_asked(turns) for turns in examples]
    if config is SIMILAR:
        assert _asked(examples[-1]) == text + "?"


def test_beside_the_most_alike_other_labels_have_their_place():
    chooser = ExampleChooser(_pool(), SIMILAR)
    shown = [{_label(turns) for turns in chooser.choose(_request("refund case"))} for _ in range(8)]
    assert all("refund" in labels for labels in shown)
    assert set().union(*shown) == {*TOOLS, NO_TOOL}


def test_without_anything_alike_the_choice_is_uniform():
    def choices(config):
        chooser = ExampleChooser(_pool(), config)
        return [chooser.choose(_request("xyzzy")) for _ in range(4)]

    assert choices(SIMILAR) == choices(WIDE)


def test_labels_that_nobody_sees_have_their_reason():
    records = [_record("refund case 0", "refund"), _record("track case 1" + " word" * 500, "track")]
    records.append(_record("x", "get_order"))
    records[2].messages.pop()
    rows = {"refund": [0], "track": [1], "get_order": [2], "gone": []}
    chooser = ExampleChooser(ExamplePool(rows, records.__getitem__), _config(200))
    chooser.choose(_request())
    report = chooser.report()
    assert report.labels == {"refund": 1}
    assert report.not_shown == {
        "gone": "no training record",
        "get_order": "no training record with a user message",
        "rare": "no training record",
        "track": "no example of it fits",
    }
    assert (report.did_not_fit, report.unfilled) == (1, {"what was left did not fit": 2})


def test_the_report_tells_how_full_the_context_is():
    chooser = ExampleChooser(_pool(), _config(10_000))
    examples = chooser.choose(_request())
    report = chooser.report()
    assert report.used_tokens_max == report.used_tokens_median
    # Measured under a number of two digits.
    assert 0 <= report.used_tokens_max - sum(map(message_tokens, examples)) <= 2 * 3
    assert report.room_tokens_median == 10_000
    assert (report.min, report.median, report.max, report.items_without_examples) == (3, 3, 3, 0)


def test_two_contexts_share_a_pool_and_nothing_else():
    pool = _pool()
    narrow, wide = ExampleChooser(pool, _config(120)), ExampleChooser(pool, WIDE)
    alone = ExampleChooser(_pool(), WIDE)
    for n in range(10):
        narrow.choose(_request(f"question {n}"))
        assert wide.choose(_request(f"question {n}")) == alone.choose(_request(f"question {n}"))
    assert narrow.report().context_tokens < wide.report().context_tokens


def test_the_pool_does_not_grow_with_the_records():
    reads = []

    def read(row):
        reads.append(row)
        return _record(f"case {row}")

    assert len(ExamplePool({NO_TOOL: range(100_000)}, read).candidates) == POOL_SIZE == len(reads)
    reads.clear()
    many = {f"label {n}": range(100 * n, 100 * n + 100) for n in range(100)}
    assert len(ExamplePool(many, read).candidates) <= POOL_RECORDS
    assert len(ExamplePool({f"label {n}": [n] for n in range(3000)}, read).candidates) == 3000


def test_a_label_takes_turns_among_its_longest():
    chooser = ExampleChooser(_pool([NO_TOOL], words=lambda n: n), IclConfig(max_examples=1))
    shown = [_numbers(chooser.choose(_request()))[0] for _ in range(8)]
    assert Counter(shown) == {9: 2, 8: 2, 7: 2, 6: 2}
    assert all(one != other for one, other in pairwise(shown))


@pytest.mark.parametrize("config", [WIDE, SIMILAR])
def test_only_the_rows_of_the_pool_are_read(config):
    records = {row: _record(f"refund case {row}", "refund") for row in (3, 8, 21)}
    chooser = ExampleChooser(ExamplePool({"refund": list(records)}, records.__getitem__), config)
    assert sorted(_numbers(chooser.choose(_request("refund case")))) == [3, 8, 21]


def test_an_example_is_shown_only_where_all_tools_of_its_chain_are_offered():
    record = _record("refund case 0", "refund")
    call = {"id": "h", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
    record.messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    chooser = ExampleChooser(ExamplePool({"refund": [0]}, {0: record}.__getitem__), WIDE)
    assert chooser.choose(_request(tools=["refund"])) == []
    assert len(chooser.choose(_request(tools=["refund", "lookup"]))) == 1


def test_the_longer_form_is_shown_where_it_leaves_the_others_their_share():
    record = _record("my order is C-77", "refund")
    record.calls[0].arguments["why"] = "C-77"
    record.messages.append({"role": "user", "content": "yes"})
    pool = ExamplePool({"refund": [0]}, {0: record}.__getitem__)
    short, whole = pool.candidates[0].forms
    for room, asked in ((whole.tokens, "my order is C-77"), (short.tokens, "yes")):
        [example] = ExampleChooser(pool, _config(room, max_examples=1)).choose(_request())
        assert _asked(example) == asked


def test_another_likeness_can_be_plugged_in():
    class ByLength:
        def __init__(self, texts):
            self.lengths = np.array([len(text) for text in texts], float)

        def scores(self, query):
            return 1 / (1 + abs(self.lengths - len(query)))

    records = [_record("a" * n, "refund") for n in range(1, 40)]
    pool = ExamplePool({"refund": range(39)}, records.__getitem__, ByLength)
    examples = ExampleChooser(pool, SIMILAR).choose(_request("b" * 17))
    assert _asked(examples[-1]) == "a" * 17
