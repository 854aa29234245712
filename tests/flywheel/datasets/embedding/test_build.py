"""From retrieval traffic to triplets and a BEIR holdout: nothing is lost, leaks, or depends on chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.flywheel.datasets.card import card_lines
from include.flywheel.datasets.split import Strategy
from include.flywheel.errors import ConfigError, NoRecords, NotEnoughRecords
from include.local_stack.traffic.help_centre import help_centre

from .conftest import search

Build = Callable[..., Any]
WORDS = ("parcel", "refund", "login", "size", "voucher", "invoice", "locker", "repair")
DOCUMENTS = [f"{first} {second} page" for first, second in combinations(WORDS, 2)]


def traffic(questions: int = 240, seed: int = 4) -> list[dict[str, Any]]:
    found = help_centre(client_id="acme", workload_id="desk", seed=seed, questions=questions, start_ms=10**12)
    return list(found)


def test_every_record_is_somewhere(build: Build) -> None:
    records = [*traffic(), b"torn", {"timestamp": 10**12, "request": {"messages": []}}]
    built = build(records, eval_size=40)
    ledger = built.report.ledger
    ledger.check()
    assert ledger.records_read == len(records)
    assert (ledger.eval, ledger.passages) == (40, 1)
    assert set(ledger.invalid) == {
        "no retrieved document was used",
        "the call failed (`error`)",
        "torn line at the end of its file",
        "chat request (`messages` instead of input)",
    }
    text = "\n".join(card_lines(built.report))
    assert "documents without a query" in text
    assert "of near-identical queries" in text


def test_training_rows_are_what_the_customizer_takes(build: Build) -> None:
    built = build(traffic(), eval_size=40)
    for name in ("train", "val"):
        rows = built.rows(name)
        assert rows
        for row in rows:
            assert list(row) == ["query", "pos_doc", "neg_doc"]
            assert 1 <= len(row["neg_doc"]) == len(set(row["neg_doc"])) <= 4
    assert built.report.file("train.jsonl").records == built.report.ledger.train
    assert built.report.retrieval.negatives["retrieved for the query and not used"] > 500


def test_the_holdout_is_a_beir_data_set(build: Build) -> None:
    built = build(traffic(), eval_size=40)
    corpus, queries = built.rows("corpus"), built.rows("queries")
    assert [set(row) for row in (corpus[0], queries[0])] == [{"_id", "title", "text"}, {"_id", "text"}]
    assert len({row["_id"] for row in queries}) == 40
    judged = built.judged()
    assert {query for query, _ in judged} == {row["_id"] for row in queries}
    assert {document for _, document in judged} <= {row["_id"] for row in corpus}
    items = {f"{row['conversation_id']}.{row['item_id']}": row for row in built.rows("eval")}
    assert {(name, one) for name, row in items.items() for one in row["relevant"]} == judged
    assert built.report.retrieval.judged == len(judged)


def test_several_documents_that_were_used_make_several_rows(build: Build) -> None:
    records = [search(f"question {n}", [f"yes {n}", f"also {n}"], [f"no {n}"]) for n in range(9)]
    built = build(records, eval_size=2, val_ratio=0)
    assert built.report.ledger.train == 7
    assert len(built.rows("train")) == 14
    assert len(built.judged()) == 4


def test_records_of_one_query_are_put_together(build: Build) -> None:
    """Case and punctuation make no other query; what was used once is no negative."""
    others = [search(f"filler{n}", [f"page{n}"], ["odd leaf"]) for n in range(6)]
    mine = [
        search("Where is it?", ["inside a box"], ["under the table"], at=1),
        search("where is it", ["under the table"], ["on a shelf"], at=2),
    ]
    built = build([*others, *mine], eval_size=1, val_ratio=0, seed=3)
    assert built.report.ledger.duplicates == 1
    rows = [row for row in built.rows("train") if row["query"].lower().startswith("where")]
    assert {row["pos_doc"] for row in rows} == {"inside a box", "under the table"}
    assert {row["query"] for row in rows} == {"where is it"}, "as the newest record has it"
    assert all(row["neg_doc"][0] == "on a shelf" for row in rows)


def test_the_same_document_under_its_name_or_in_nearly_the_same_words_is_no_negative(build: Build) -> None:
    old = "parcels are sent on the day of the order before noon"
    near = "parcels are sent on the day of your order before noon"
    new = "since june everything leaves at once"
    record = search("when is it sent", at=5)
    record["response"]["documents"] = [
        {"id": "sending", "text": old, "used": True},
        {"id": "sending", "text": new},
        {"id": "copy", "text": near},
        {"id": "other", "text": "lockers are emptied weekly"},
    ]
    fillers = [search(f"filler{n}", [f"page{n}"]) for n in range(6)]
    built = build([record, *fillers], eval_size=1, val_ratio=0, seed=1)
    [row] = [row for row in built.rows("train") if row["query"] == "when is it sent"]
    assert row["neg_doc"][0] == "lockers are emptied weekly"
    assert not {old, near, new} & set(row["neg_doc"])


def test_a_query_for_which_nothing_is_wrong_has_no_negative_and_is_counted(build: Build) -> None:
    built = build([search(f"q{n} word{n}", ["the only page"]) for n in range(8)], eval_size=2, val_ratio=0)
    assert {tuple(row["neg_doc"]) for row in built.rows("train")} == {()}
    assert built.report.retrieval.without_negatives == 6


def test_the_corpus_is_bounded_but_has_all_that_the_holdout_retrieved(build: Build) -> None:
    records = [search(f"word{n} q{n}", [f"yes {n}"], [f"no {n}"]) for n in range(60)]
    built = build(records, eval_size=5, triplets={"corpus_documents": 30})
    corpus = {row["_id"] for row in built.rows("corpus")}
    assert len(corpus) == 30
    assert {document for _, document in built.judged()} <= corpus
    assert built.report.retrieval.documents == 120


def test_a_temporal_split_evaluates_the_newest(build: Build) -> None:
    records = [search(f"word{n} q{n}", [f"yes {n}"], at=n * 1000) for n in range(20)]
    report = build(records, eval_size=4, strategy=Strategy.TEMPORAL).report
    assert report.eval.first_timestamp_ms > report.val.last_timestamp_ms > report.train.last_timestamp_ms


def test_a_split_by_a_field_of_the_records(build: Build) -> None:
    records = [search(f"word{n} q{n}", [f"yes {n}"], shop="ab"[n % 2]) for n in range(40)]
    report = build(records, eval_size=10, stratify_by="shop").report
    assert (report.stratified_by, report.eval.labels) == ("shop", {"a": 5, "b": 5})
    with pytest.raises(ConfigError, match="`stratify_by` = 'tool'"):
        build(records, stratify_by="tool")


def test_too_little_says_what_was_found(build: Build) -> None:
    with pytest.raises(NoRecords, match="no records of client 'acme'"):
        build([])
    with pytest.raises(NotEnoughRecords, match=r"docs/log_records.md.* 1 no retrieved document was used"):
        build([search("q", [], ["no"])])
    with pytest.raises(NotEnoughRecords, match=r"eval_size that would work is 2.* 3 usable queries"):
        build([search(f"word{n} q{n}", [f"yes {n}"]) for n in range(3)], eval_size=3)


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Queries of few words over few documents, so that near-identical ones and shared documents are many."""
    records = []
    for number in range(draw(st.integers(8, 30))):
        query = " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5)))
        shown = draw(st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=6, unique=True))
        used = draw(st.integers(1, len(shown)))
        records.append(search(query, shown[:used], shown[used:], at=draw(st.integers(0, 5)) + number // 4))
    return records


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=logs(), seed=st.integers(0, 3), negatives=st.integers(1, 6), shuffle=st.integers(0, 9))
def test_for_all_logs(build: Build, records: list[Any], seed: int, negatives: int, shuffle: int) -> None:
    options: dict[str, Any] = {"eval_size": 2, "val_ratio": 0.2, "seed": seed}
    options["triplets"] = {"negatives": negatives, "near_identical": 0.75}
    try:
        built = build(records, **options)
    except NotEnoughRecords:
        return
    built.report.ledger.check()
    used: dict[frozenset[str], set[str]] = {}
    for record in records:
        words = frozenset(record["request"]["input"].split())
        mine = used.setdefault(words, set())
        mine |= {one["text"] for one in record["response"]["documents"] if one.get("used")}
    sets = {name: built.rows(name) for name in ("train", "val", "eval")}
    for row in sets["train"] + sets["val"]:
        words = frozenset(row["query"].split())
        like = [found for other, found in used.items() if len(words & other) >= 0.75 * len(words | other)]
        assert row["pos_doc"] in used[words]
        assert not set(row["neg_doc"]) & set().union(*like), "no positive among negatives"
        assert len(row["neg_doc"]) <= negatives
    for (_, mine_rows), (_, theirs) in combinations(sets.items(), 2):
        for one in mine_rows:
            for other in theirs:
                a, b = set(one["query"].split()), set(other["query"].split())
                assert len(a & b) < 0.75 * len(a | b), "near-identical queries are in one set"
    again = list(records)
    random.Random(shuffle).shuffle(again)
    assert build(again, **options).files == built.files, "same records and seed, same bytes"
