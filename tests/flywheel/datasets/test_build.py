"""From the store to the files: the ledger, the rows, determinism, refusals."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.datasets.build import build_datasets
from include.flywheel.datasets.digests import dataset_digest, request_digest
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import DataError, NoRecords, NotEnoughRecords
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import read_lines
from include.flywheel.logs.load import load
from include.flywheel.logs.store import LogQuery

AIRLINE = Path(__file__).parents[4] / "shared" / "data" / "airline_logs.jsonl.gz"


@pytest.fixture(scope="session")
def traffic(document, raws):
    """60 records of 20 conversations, 3 repeated requests, 3 broken ones."""
    tools = ["get_order", "refund", None, "track"]
    documents = [document(n, session=f"s{n % 20}", tool=tools[n % 4]) for n in range(59)]
    documents.append(document(59, session="s19", tool="rare"))
    documents += [document(n, session=f"s{n % 20}", tool="track", at=1000 + n) for n in range(3)]
    documents += [document(90) | {"response": None}, document(91) | {"error": "x"}]
    return [*raws(documents), b'{"timestamp": 17']


def test_the_ledger_accounts_for_every_record(build, traffic):
    ledger = build(traffic, eval_size=10).report.ledger
    assert (ledger.in_store, ledger.records_read, ledger.older_than_limit) == (66, 66, 0)
    assert {reason: tally.count for reason, tally in ledger.invalid.items()} == {
        "response missing": 1,
        "the call failed (`error`)": 1,
        "torn line at the end of its file": 1,
    }
    assert ledger.invalid["response missing"].example == "x:63"
    assert (ledger.duplicates, ledger.eval, ledger.usable) == (3, 10, 60)


def test_the_limit_is_accounted_for(build, traffic):
    ledger = build(traffic, eval_size=5, limit=40).report.ledger
    assert (ledger.in_store, ledger.records_read, ledger.older_than_limit) == (66, 40, 26)


def test_the_lower_of_two_limits_holds(tmp_path, document):
    store = FileLogStore(tmp_path / "logs")
    store.append([document(n) for n in range(30)])
    query = LogQuery(client_id="acme", workload_id="desk", limit=20)
    spec = DatasetSpec(split=SplitConfig(eval_size=5, min_total_records=5))
    report = build_datasets(store, query, spec, lambda name: (tmp_path / name).open("wb"), tmp_path)
    assert report.ledger.records_read == 20
    assert report.first_timestamp_ms == document(10)["timestamp"]


def test_the_report_describes_the_files_as_they_are(build, traffic):
    built = build(traffic, eval_size=10)
    assert [file.name.split(".")[0] for file in built.report.files] == ["train", "val", "eval", "icl-32768"]
    for file in built.report.files:
        content = built.files[file.name]
        assert file.bytes == len(content)
        assert file.records == len(content.splitlines())
        assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert built.report.digest == dataset_digest({f.name: f.sha256 for f in built.report.files})
    assert built.report.eval.labels == Counter(
        row["tool_calls"][0]["function"]["name"] if row["tool_calls"] else "no tool"
        for row in built.rows("eval")
    )
    assert built.report.file("icl-32768.jsonl").records == 10


def test_no_request_and_no_conversation_is_in_two_sets(build, traffic):
    built = build(traffic, eval_size=10, val_ratio=0.3)
    assert built.report.overlap.none
    assert set(built.report.overlap.requests) == {"eval/val", "eval/train", "val/train"}

    def questions(rows):
        return {row["messages"][1]["content"] for row in rows}

    held_out = questions(row["request"] for row in built.rows("eval"))
    train, val = questions(built.rows("train")), questions(built.rows("val"))
    assert not held_out & train
    assert not held_out & val
    assert not train & val
    by_session = [{int(question.split()[1]) % 20 for question in part} for part in (held_out, train, val)]
    assert sum(map(len, by_session)) == len(set().union(*by_session)) == 20


def test_rows_of_training(build, traffic):
    rows = build(traffic, eval_size=10).rows("train")
    assert all(set(row) == {"messages", "tools"} for row in rows)
    answers = [row["messages"][-1] for row in rows]
    assert all(answer["role"] == "assistant" for answer in answers)
    for answer in answers:
        if "tool_calls" in answer:
            assert answer["content"] == ""
            assert all(isinstance(call["function"]["arguments"], dict) for call in answer["tool_calls"])
        else:
            assert answer["content"] == "Done."


def test_rows_of_the_holdout(build, traffic):
    rows = build(traffic, eval_size=10).rows("eval")
    assert len({row["item_id"] for row in rows}) == 10
    for row in rows:
        assert set(row) == {"item_id", "conversation_id", "request", "response", "tool_calls"}
        assert len(row["item_id"]) == 16
        assert set(row["request"]) == {"messages", "tools", "tool_choice"}
        assert row["request"]["messages"][-1]["role"] == "user"
        said = [call["function"] for call in row["response"]["tool_calls"]]
        truth = [call["function"] for call in row["tool_calls"]]
        assert [call["name"] for call in said] == [call["name"] for call in truth]
        assert all(isinstance(call["arguments"], str) for call in said)
        assert all(isinstance(call["arguments"], dict) for call in truth)


def test_the_newest_answer_of_a_repeated_request_is_kept(build, traffic):
    built = build(traffic, eval_size=10)
    rows = built.rows("train") + built.rows("val")
    called = {row["messages"][1]["content"]: row["messages"][-1].get("tool_calls") for row in rows}
    held = {row["request"]["messages"][1]["content"]: row["tool_calls"] for row in built.rows("eval")}
    answers = [(called | held).get(f"question {n}") for n in range(3)]
    kept = [answer[0]["function"]["name"] for answer in answers if answer]
    assert kept
    assert set(kept) == {"track"}
    assert built.report.repeated.requests == 3
    assert built.report.repeated.agreement_name == 0.0


def test_records_without_a_session_are_conversations_of_their_own(build, document, raws):
    built = build(raws([document(n) for n in range(20)]), eval_size=5)
    assert built.report.eval.conversations == 5
    assert all(row["conversation_id"] == f"unnamed-{row['item_id']}" for row in built.rows("eval"))


def test_val_ratio_zero_writes_an_empty_file(build, traffic):
    built = build(traffic, val_ratio=0)
    assert built.files["val.jsonl"] == b""
    assert built.report.val.records == 0


def test_the_order_of_reading_changes_no_byte(build, traffic):
    shuffled = random.Random(5).sample(traffic, len(traffic))
    first, second = build(traffic, eval_size=10), build(shuffled, eval_size=10)
    assert first.files == second.files
    assert first.report.digest == second.report.digest


def test_random_seed_overrides_the_seed_of_the_run(build, traffic):
    assert build(traffic, seed=1).files != build(traffic, seed=2).files
    first, second = (build(traffic, seed=seed, random_seed=9) for seed in (1, 2))
    assert first.files == second.files
    assert first.report.seed == 9


def test_arguments_may_stay_as_they_were_logged(build, document, raws):
    documents = [document(n, arguments='{"a":  1}' if n else "{torn") for n in range(20)]
    built = build(raws(documents), parse_function_arguments=False)
    assert built.report.ledger.usable == 20
    arguments = {row["messages"][-1]["tool_calls"][0]["function"]["arguments"] for row in built.rows("train")}
    assert arguments <= {'{"a":  1}', "{torn"}
    assert build(raws(documents)).report.ledger.invalid_count == 1


def test_an_empty_store_names_what_it_holds(tmp_path, document):
    store = FileLogStore(tmp_path)
    store.append([document(1)])
    query = LogQuery(client_id="acme", workload_id="other")
    with pytest.raises(NoRecords, match=r"client 'acme', workload 'other'.*acme/desk \(1\)"):
        build_datasets(store, query, DatasetSpec(), lambda name: (tmp_path / name).open("wb"), tmp_path)


def test_too_few_records_say_what_became_of_the_others(build, traffic):
    with pytest.raises(NotEnoughRecords, match=r"60 usable .* 66 records read, 3 invalid, 3 dup.*1 response"):
        build(traffic, min_total_records=100)


def test_only_invalid_records_are_refused_with_their_reasons(build, document, raws):
    with pytest.raises(NotEnoughRecords, match=r"0 usable.*20 response missing \(e\.g\. x:0\)"):
        build(raws([document(n) | {"response": None} for n in range(20)]))


def test_where_no_item_can_carry_an_example_no_file_is_written_and_it_says_why(build, traffic):
    small = IclConfig(max_context_length=300, reserved_tokens=200)
    built = build(traffic, icl=small)
    assert not [name for name in built.files if name.startswith("icl")]
    assert "none of the 5 items" in built.report.icl.impossible["300"]


def test_each_context_length_has_a_file_of_its_own(build, traffic):
    config = IclConfig(max_context_length=8000, reserved_tokens=200, max_examples=9)
    built = build(traffic, icl=config, icl_contexts=(150, 1500, 9000, 131072))
    assert [name for name in built.files if name.startswith("icl")] == ["icl-1500.jsonl", "icl-8000.jsonl"]
    assert list(built.report.icl.impossible) == ["150"]
    short, long = built.report.icl.written
    assert (short.context_tokens, long.context_tokens) == (1500, 8000)
    assert short.median < long.median
    by_item = {row["item_id"]: row for row in built.rows("eval")}
    for row in built.rows("icl-8000"):
        assert len(row["request"]["messages"]) > len(by_item[row["item_id"]]["request"]["messages"])


def test_without_icl_no_such_file_is_written(build, traffic):
    built = build(traffic, icl=None)
    assert set(built.files) == {"train.jsonl", "val.jsonl", "eval.jsonl"}
    assert built.report.icl.written == []


_events = st.tuples(
    st.integers(0, 25),  # which request
    st.integers(0, 5),  # which session; 5: none
    st.sampled_from(["get_order", "refund", None, "broken"]),
    st.integers(0, 3),  # when
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_events, min_size=20, max_size=60), st.integers(1, 6), st.randoms(use_true_random=False))
def test_for_all_traffic_the_ledger_adds_up_and_the_order_does_not_matter(
    build, document, raws, events, eval_size, rng
):
    documents = []
    for number, session, tool, at in events:
        made = document(number, tool="get_order" if tool == "broken" else tool, at=at)
        if session < 5:
            made["session_id"] = f"s{session}"
        documents.append(made | ({"response": None} if tool == "broken" else {}))
    shuffled = rng.sample(documents, len(documents))
    try:
        first = build(raws(documents), eval_size=eval_size)
    except DataError as error:
        with pytest.raises(type(error)):
            build(raws(shuffled), eval_size=eval_size)
        return
    second = build(raws(shuffled), eval_size=eval_size)
    assert first.files == second.files
    assert first.report.repeated == second.report.repeated
    for built in (first, second):
        built.report.ledger.check()
        assert built.report.ledger.records_read == len(events)
        assert built.report.ledger.eval == len(built.rows("eval")) == eval_size
        assert built.report.overlap.none


AIRLINE_FACTS = {
    "airline_tool_calls": ("tool_calling", 1164, 0, 182, 14),
    "airline_replies": ("chat", 1290, 8, 200, 1),
}


@pytest.fixture(scope="module")
def airline(tmp_path_factory):
    if not AIRLINE.exists():
        pytest.skip("the airline log is not at hand")
    store = FileLogStore(tmp_path_factory.mktemp("airline"))
    for workload, facts in AIRLINE_FACTS.items():
        loaded = load(read_lines(AIRLINE), store, "skyline", workload)
        assert (loaded.lines_read, loaded.stored) == (2454, facts[1])
        assert {reason: tally.count for reason, tally in loaded.rejected.items()} == {
            "other workload": 2454 - facts[1]
        }
    return store


@pytest.mark.parametrize("eval_size", [100, 300])
@pytest.mark.parametrize("workload", list(AIRLINE_FACTS))
def test_the_airline_log(airline, tmp_path, workload, eval_size):
    kind, records, duplicates, conversations, labels = AIRLINE_FACTS[workload]
    spec = DatasetSpec(split=SplitConfig(eval_size=eval_size, limit=None), seed=1)
    query = LogQuery(client_id="skyline", workload_id=workload)
    report = build_datasets(airline, query, spec, lambda name: (tmp_path / name).open("wb"), tmp_path)
    ledger = report.ledger
    assert (report.kind, report.grouping.conversations) == (kind, conversations)
    assert (ledger.in_store, ledger.invalid_count, ledger.duplicates) == (records, 0, duplicates)
    assert (ledger.eval, ledger.usable, report.overlap.none) == (eval_size, records - duplicates, True)
    assert len({*report.train.labels, *report.val.labels, *report.eval.labels}) == labels
    [icl] = report.icl.written
    assert (icl.items_without_examples, icl.min) == (0, 3)
    assert not set(icl.not_shown) & set(report.train.labels)
    _check_files(tmp_path, report)


def _check_files(folder, report):
    """No request of the holdout is in a training row, whatever the report says."""
    rows = {
        name: list(map(orjson.loads, read_lines(folder / f"{name}.jsonl")))
        for name in ("train", "val", "eval")
    }
    assert [len(rows[name]) for name in rows] == [
        report.train.records,
        report.val.records,
        report.eval.records,
    ]
    held_out = {request_digest(row["request"]["messages"], row["request"]["tools"]) for row in rows["eval"]}
    learnt = {request_digest(row["messages"][:-1], row["tools"]) for row in rows["train"] + rows["val"]}
    assert len(held_out) == report.eval.records
    assert not held_out & learnt
