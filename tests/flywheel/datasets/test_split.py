"""The split: exact sizes, whole conversations, labels, edge cases, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.flywheel.datasets import columns
from include.flywheel.datasets.draw import targets
from include.flywheel.datasets.gather import gather
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.split import Part, SplitConfig, Strategy, split
from include.flywheel.datasets.spool import Spool
from include.flywheel.errors import ConfigError, NotEnoughRecords


@pytest.fixture(scope="session")
def table(document, raws, tmp_path_factory):
    """The requests of (session, tool) pairs, and with a third member their times; one request each."""
    folder = tmp_path_factory.mktemp("spool")

    def make(pairs):
        documents = [
            document(n, session=session, tool=tool, at=at[0] if at else None)
            for n, (session, tool, *at) in enumerate(pairs)
        ]
        with Spool(folder) as spool:
            return gather(MemoryReading(raws(documents)), spool, kind=Kind.TOOL_CALLING).requests

    return make


@dataclass
class MemoryReading:
    lines: list[bytes]

    @property
    def in_store(self):
        return len(self.lines)

    def where(self):
        return "x"

    def __iter__(self):
        return iter(self.lines)


def row_labels(requests):
    return [requests.label_names[label] for label in requests.labels]


def config(**fields):
    return SplitConfig(**({"min_total_records": 1, "limit": None} | fields))


def test_a_single_record_a_conversation_is_stratified_to_the_record(table):
    made = table([(None, tool) for tool in ["get_order"] * 60 + ["refund"] * 30 + ["track"] * 9 + ["rare"]])
    parts = split(made, config(eval_size=20, val_ratio=0.25), seed=3)
    labels = defaultdict(Counter)
    for part, label in zip(parts, row_labels(made), strict=True):
        labels[Part(part)][label] += 1
    assert labels[Part.EVAL] == {"get_order": 12, "refund": 6, "track": 2}
    assert labels[Part.VAL].total() == 20
    assert labels[Part.VAL]["get_order"] == 12
    assert labels[Part.TRAIN]["rare"] + labels[Part.VAL]["rare"] == 1


def test_conversations_stay_whole_and_the_rest_of_the_last_is_held_out(table):
    made = table([(f"s{n % 10}", "track") for n in range(70)])
    parts = split(made, config(eval_size=17), seed=0)
    assert Counter(parts.tolist())[Part.EVAL] == 17
    assert Counter(parts.tolist())[Part.HELD_OUT] == 4
    held = {int(made.conversations[row]) for row in np.flatnonzero(parts >= Part.EVAL)}
    assert held.isdisjoint({int(made.conversations[row]) for row in np.flatnonzero(parts < Part.EVAL)})


def test_another_seed_gives_another_holdout(table):
    made = table([(None, "track")] * 200)
    first, second = (split(made, config(eval_size=20), seed=seed) for seed in (1, 2))
    assert (first != second).any()


def test_val_ratio_zero_validates_nothing(table):
    parts = split(table([(None, "track")] * 20), config(eval_size=5, val_ratio=0), seed=1)
    assert Counter(parts.tolist()) == {Part.EVAL: 5, Part.TRAIN: 15}


@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.999])
def test_something_always_trains(table, ratio):
    parts = split(table([(None, "track")] * 12), config(eval_size=10, val_ratio=ratio), seed=1)
    assert Counter(parts.tolist()) == {Part.EVAL: 10, Part.VAL: 1, Part.TRAIN: 1}


def test_the_largest_holdout_takes_everything_but_the_smallest_conversation(table):
    made = table([("big", "track")] * 9 + [("small", "track")] * 2)
    for seed in range(8):
        parts = split(made, config(eval_size=9), seed=seed)
        assert Counter(parts.tolist()) == {Part.EVAL: 9, Part.TRAIN: 2}


def test_an_eval_size_of_one_less_than_the_records_works(table):
    parts = split(table([(None, "track")] * 8), config(eval_size=7), seed=1)
    assert Counter(parts.tolist()) == {Part.EVAL: 7, Part.TRAIN: 1}


def test_too_few_records_name_what_is_missing_and_what_would_work(table):
    made = table([(None, "track")] * 30)
    with pytest.raises(NotEnoughRecords, match=r"30 usable records are 20 fewer .* 50.*would work is 29"):
        split(made, SplitConfig(eval_size=10), seed=1)


@pytest.mark.parametrize("eval_size", [30, 31, 500])
def test_a_holdout_of_everything_is_refused(table, eval_size):
    made = table([(f"s{n // 3}", "track") for n in range(30)])
    with pytest.raises(NotEnoughRecords, match=r"eval_size \d+ leaves no .*would work is 27"):
        split(made, config(eval_size=eval_size), seed=1)


def test_one_conversation_alone_is_refused(table):
    with pytest.raises(NotEnoughRecords, match="of one conversation"):
        split(table([("s", "track")] * 30), config(eval_size=5), seed=1)


def test_no_records_at_all_are_refused(table):
    with pytest.raises(NotEnoughRecords, match="no eval_size would work"):
        split(table([]), config(eval_size=5), seed=1)


@settings(max_examples=60, deadline=None)
@given(
    sessions=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["track", "refund", None])), min_size=3),
    seed=st.integers(0, 5),
    ratio=st.sampled_from([0, 0.1, 0.5, 0.95]),
    data=st.data(),
)
def test_for_all_conversations(table, sessions, seed, ratio, data):
    made = table([(f"s{session}", tool) for session, tool in sessions])
    sizes = Counter(made.conversations.tolist()).values()
    largest = len(sessions) - min(sizes)
    if len(sizes) == 1:
        return
    eval_size = data.draw(st.integers(1, largest))
    parts = split(made, config(eval_size=eval_size, val_ratio=ratio), seed=seed)
    found = Counter(parts.tolist())
    assert found[Part.EVAL] == eval_size
    assert found[Part.TRAIN] >= 1
    where = defaultdict(set)
    for row, part in enumerate(parts.tolist()):
        where[int(made.conversations[row])].add(Part.EVAL if part == Part.HELD_OUT else part)
    assert all(len(parts_of) == 1 for parts_of in where.values())
    assert ratio or not found[Part.VAL]
    left = found[Part.VAL] + found[Part.TRAIN]
    assert found[Part.VAL] <= max(int(ratio * left + 0.5), left // 2)


def test_a_temporal_split_is_in_the_order_of_time(table):
    made = table([(f"s{n // 5}", "track", n) for n in range(100)])
    parts = split(made, config(eval_size=12, val_ratio=0.2), seed=1, strategy=Strategy.TEMPORAL)
    found = Counter(parts.tolist())
    assert (found[Part.EVAL], found[Part.HELD_OUT], found[Part.VAL]) == (12, 3, 15)
    times = {part: made.times_ms[parts == part] for part in Part}
    assert times[Part.TRAIN].max() < times[Part.VAL].min()
    assert times[Part.VAL].max() < min(times[Part.EVAL].min(), times[Part.HELD_OUT].min())
    # Of the conversation that was cut, its newest steps evaluate.
    assert times[Part.HELD_OUT].max() < times[Part.EVAL].min()


def test_a_temporal_split_leaves_something_to_train_on(table):
    made = table([("old", "track", 0)] * 2 + [("new", "track", 9)] * 9)
    parts = split(made, config(eval_size=9), seed=1, strategy=Strategy.TEMPORAL)
    assert Counter(parts.tolist()) == {Part.EVAL: 9, Part.TRAIN: 2}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), min_size=3),
    st.sampled_from([0, 0.1, 0.5]),
    st.data(),
)
def test_for_all_conversations_a_temporal_split_holds_the_newest_out(table, events, ratio, data):
    made = table([(f"s{session}", "track", at) for session, at in events])
    sizes = Counter(made.conversations.tolist())
    if len(sizes) == 1:
        return
    eval_size = data.draw(st.integers(1, len(events) - min(sizes.values())))
    parts = split(made, config(eval_size=eval_size, val_ratio=ratio), seed=1, strategy=Strategy.TEMPORAL)
    assert Counter(parts.tolist())[Part.EVAL] == eval_size
    assert Counter(parts.tolist())[Part.TRAIN] >= 1
    last = {key: made.times_ms[made.conversations == key].max() for key in sizes}
    held = {key for key in sizes if (parts[made.conversations == key] >= Part.EVAL).any()}
    assert all((parts[made.conversations == key] >= Part.EVAL).all() for key in held)
    left = [last[key] for key in sizes if key not in held]
    # All but one of those held out are at least as new as every one that is not (one always trains).
    assert sum(1 for key in held if last[key] < max(left)) <= 1 or len(left) == 1


@pytest.mark.parametrize(
    ("by", "field", "labels"),
    [
        ("intent", "description", ["(none)", "cancel", "return"]),
        ("tier", "tier", ["(none)", "cancel", "return"]),
        ("tool", "tier", ["get_order"]),
    ],
)
def test_the_holdout_and_validation_are_stratified_by_the_field(gathered, document, by, field, labels):
    values = ["return"] * 6 + ["cancel"] * 3 + [None]
    documents = [document(n) | ({field: values[n % 10]} if values[n % 10] else {}) for n in range(200)]
    made = gathered(documents, stratify_by=by).requests
    assert (made.label_names, made.stratified_by) == (labels, by)
    if by != "tool":
        parts = split(made, config(eval_size=50, val_ratio=0.2), seed=1)
        names = np.array(row_labels(made))
        assert Counter(names[parts == Part.EVAL]) == {"return": 30, "cancel": 15, "(none)": 5}
        assert Counter(names[parts == Part.VAL]) == {"return": 18, "cancel": 9, "(none)": 3}


def test_a_field_with_a_meaning_of_its_own_is_no_stratum(gathered, document):
    with pytest.raises(ConfigError, match=r"`stratify_by` = 'session_id' .* name another"):
        gathered([document(1)], stratify_by="session_id")


def test_a_field_with_too_many_values_is_no_stratum(gathered, document, monkeypatch):
    monkeypatch.setattr(columns, "MAX_STRATA", 10)
    documents = [document(n) | {"order": n, "description": str(n)} for n in range(30)]
    with pytest.raises(ConfigError, match=r"`stratify_by` = 'order': the field has more than"):
        gathered(documents, stratify_by="order")
    chats = [document(n, tool=None, text="Yes.\nNo.") | {"description": str(n)} for n in range(30)]
    assert gathered(chats).requests.stratified_by == "nothing"


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_targets_share_out_exactly_and_never_more_than_there_is(labels, data):
    size = data.draw(st.integers(0, len(labels)))
    shared = targets(np.array(labels), size, 5)
    assert shared.sum() == size
    assert (shared <= np.bincount(labels, minlength=5)).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [("eval_size", 0), ("val_ratio", 1), ("val_ratio", -0.1), ("limit", 0), ("random_seed", -1), ("size", 5)],
)
def test_values_outside_the_contract_are_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        SplitConfig(**{field: value})
