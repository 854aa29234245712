"""For all rooms, tool sets and orders: the budget of the examples, their coverage, and sums that add up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.datasets.formats import icl_row
from include.flywheel.datasets.icl.chooser import ExampleChooser
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.icl.pool import ExamplePool
from include.flywheel.datasets.icl.report import IclImpossible
from include.flywheel.datasets.icl.tokens import request_tokens
from include.flywheel.datasets.records import Call, Record

TOOLS = ["get_order", "refund", "track", "rare"]


def _request(text="what now?", tools=TOOLS):
    functions = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in tools]
    return {"messages": [{"role": "user", "content": text}], "tools": functions}


def _record(text, tool):
    return Record(
        timestamp_ms=0,
        session_id="s",
        tool_choice="auto",
        content="",
        calls=[Call(tool, {"why": "x"}, "c1")],
        response_id=None,
        **_request(text),
    )


def _pool(tools=TOOLS, count=10, words=lambda n: 5):
    """`count` records of each tool; record n has so many words."""
    records = [_record(f"{tool} case {n}" + " word" * words(n), tool) for tool in tools for n in range(count)]
    rows = {tool: range(at * count, (at + 1) * count) for at, tool in enumerate(tools)}
    return ExamplePool(rows, records.__getitem__)


SELECTIONS = st.sampled_from(["uniform_distribution", "semantic_similarity"])


@settings(max_examples=60, deadline=None)
@given(
    rooms=st.lists(st.integers(-50, 900), min_size=1, max_size=6),
    places=st.integers(1, 6),
    least=st.integers(1, 6),
    selection=SELECTIONS,
    seed=st.integers(0, 1000),
)
def test_for_all_rooms_the_budget_holds_and_the_counts_add_up(rooms, places, least, selection, seed):
    rng = random.Random(seed)
    pool = _pool(words=lambda n: rng.randrange(60))
    config = IclConfig(
        max_context_length=request_tokens(_request()) + 900,
        reserved_tokens=100,
        max_examples=places,
        min_examples=min(least, places),
        example_selection=selection,
    )
    chooser = ExampleChooser(pool, config)
    counts = []
    for room in rooms:
        request = _request(f"track case {rng.randrange(50)}" + " word" * (900 - room))
        examples = chooser.choose(request)
        counts.append(len(examples))
        assert len(examples) == 0 or config.min_examples <= len(examples) <= places
        made = icl_row({"request": request}, examples)["request"]
        assert not examples or request_tokens(made) <= config.max_context_length - 100
    if not any(counts):
        with pytest.raises(IclImpossible):
            chooser.report()
        return
    report = chooser.report()
    assert sum(report.labels.values()) == sum(counts)
    assert report.places == places * len(rooms) == sum(counts) + sum(report.unfilled.values())
    assert report.items_without_examples == counts.count(0)
    assert not report.labels.keys() & report.not_shown.keys()
    assert report.labels.keys() | report.not_shown.keys() == set(TOOLS)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 30), SELECTIONS)
def test_for_all_tool_sets_each_tool_that_fits_is_shown(places, tools, selection):
    names = [f"tool_{n}" for n in range(tools)]
    config = IclConfig(
        max_examples=places,
        example_selection=selection,
        similarity_config={"relevance_ratio": 0 if places == 1 else 0.5},
    )
    chooser = ExampleChooser(_pool(names, count=2), config)
    covering = places - config.relevant_places
    for _ in range(-(-tools // covering)):
        chooser.choose(_request("tool_0 case 1", tools=names))
    assert chooser.report().not_shown == {}


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), SELECTIONS)
def test_for_all_orders_of_the_candidates_the_choice_is_the_same(rng, selection):
    config = IclConfig(example_selection=selection, max_examples=4)
    records = [_record(f"{label} case {n}", label) for label in TOOLS for n in range(6)]
    rows = {label: list(range(6 * at, 6 * at + 6)) for at, label in enumerate(TOOLS)}
    mixed = {label: rng.sample(found, 6) for label, found in rng.sample(list(rows.items()), 4)}
    first, second = (
        ExampleChooser(ExamplePool(found, records.__getitem__), config) for found in (rows, mixed)
    )
    for n in range(5):
        assert first.choose(_request(f"track case {n}")) == second.choose(_request(f"track case {n}"))
