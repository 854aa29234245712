"""What becomes of each row, and that no row vanishes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import timedelta

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.export.lines import copies, sft_line
from include.flywheel.feedback.export.names import checked_name
from include.flywheel.feedback.export.spec import ExportSpec, Filters, Weights
from include.flywheel.feedback.export.write import NOT_DRAWN, UNCORRECTED, write_export

CORRECTION = "Call us: only an agent can change that booking."


def test_a_thumbs_up_is_a_line_of_the_contract(export, row) -> None:
    [line] = export([row(1, category=None, reason="helped")]).lines()
    assert line == {
        "messages": [
            {"role": "user", "content": "how do I change flight 1?"},
            {"role": "assistant", "content": "Open your booking 1 and choose another flight."},
        ],
        "weight": 2.0,
        "metadata": {
            "model": "gpt-4o",
            "rating": 1,
            "timestamp": "2026-11-21T23:59:00Z",
            "intent": "general",
            "project": "desk",
            "category": None,
            "reason": "helped",
            "expected_answer": None,
        },
    }


def test_a_correction_is_the_target_of_a_thumbs_down(export, row) -> None:
    done = export([row(1, rating=-1, expected_answer=CORRECTION)], format="all")
    [line] = done.lines()
    assert line["messages"][1]["content"] == CORRECTION
    assert line["weight"] == 0.5
    assert "uncorrected_negative" not in line["metadata"]
    [pair] = done.lines(".dpo")
    assert pair["chosen"] == [{"role": "assistant", "content": CORRECTION}]
    assert pair["rejected"][0]["content"].startswith("Open your booking")
    [judged] = done.lines(".kto")
    assert judged["label"] is False
    assert judged["completion"] == pair["rejected"]
    assert done.manifest.counts.corrected_samples == 1


@pytest.mark.parametrize("said", [None, "", "   ", " Open your booking 1 and choose another flight. "])
def test_a_thumbs_down_that_says_nothing_new_is_marked_and_never_trains_the_wheel(export, row, said) -> None:
    done = export([row(1, rating=-1, expected_answer=said)], format="all")
    [line] = done.lines()
    assert line["metadata"]["uncorrected_negative"] is True
    assert line["weight"] == 0.5
    assert done.lines(".nemo") == []
    assert done.lines(".dpo") == []
    assert [one["label"] for one in done.lines(".kto")] == [False]
    counts = done.manifest.counts
    assert (counts.uncorrected_negative_samples, counts.negative_samples) == (1, 1)


def test_uncorrected_negatives_can_be_left_to_the_preferences(export, row) -> None:
    done = export([row(1, rating=-1), row(2)], format="all", uncorrected_negatives="exclude")
    assert len(done.lines()) == 1
    assert len(done.lines(".kto")) == 2
    counts = done.manifest.counts
    assert (counts.total_samples, counts.uncorrected_negative_samples, counts.total_weight) == (1, 0, 2.0)
    assert counts.filtered_out_samples == 1
    assert done.manifest.files[0].left_out == {UNCORRECTED: 1}


def test_an_expected_answer_of_a_thumbs_up_is_no_correction(export, row) -> None:
    [line] = export([row(1, expected_answer=CORRECTION)]).lines()
    assert line["messages"][1]["content"].startswith("Open your booking")


def test_of_equal_rows_the_newest_stays(export, row) -> None:
    same = {"query": "how do I change it?", "response": "Open your booking and choose."}
    done = export([row(1, rating=-1, **same), row(2, **same), row(3)])
    assert [line["metadata"]["rating"] for line in done.lines()] == [-1, 1]
    assert done.manifest.counts.filtered == {"older row of an equal query and response": 1}
    kept = export([row(1, **same), row(2, **same)], filters=Filters.last(7).model_copy(
        update={"deduplicate": False}
    ))  # fmt: skip
    assert len(kept.lines()) == 2


def test_short_texts_are_left_out_by_the_answer_that_would_be_trained_on(export, row) -> None:
    done = export(
        [
            row(1, query="  hi?     "),
            row(2, response="ok"),
            row(3, rating=-1, response="ok", expected_answer=CORRECTION),
            row(4, rating=-1, expected_answer="no"),
        ]
    )
    assert [line["messages"][1]["content"] for line in done.lines()] == [CORRECTION]
    assert done.manifest.counts.filtered == {
        "answer shorter than min_response_chars": 2,
        "query shorter than min_query_chars": 1,
    }


def test_copies_are_as_many_as_weights_say(row) -> None:
    ids = [row(number).feedback_id for number in range(4000)]
    assert {copies(one, 2.0, 0) for one in ids} == {2}
    assert {copies(one, 1.0, 5) for one in ids} == {1}
    for weight in (0.5, 2.25):
        drawn = [copies(one, weight, 0) for one in ids]
        assert sum(drawn) / len(ids) == pytest.approx(weight, abs=4 * 0.5 / len(ids) ** 0.5)
        assert drawn == [copies(one, weight, 0) for one in ids]
        assert drawn != [copies(one, weight, 1) for one in ids]


def test_the_nemo_file_is_made_of_copies(export, row) -> None:
    corrected = [row(n, rating=-1, expected_answer=f"{CORRECTION} {n}") for n in range(100, 200)]
    done = export([row(1), *corrected], format="nemo")
    lines = done.lines(".nemo")
    seen = Counter(line["messages"][1]["content"] for line in lines)
    assert seen["Open your booking 1 and choose another flight."] == 2
    assert 30 < len(lines) - 2 < 70
    [file] = done.manifest.files
    assert file.left_out[NOT_DRAWN] + len(lines) - 2 == 100
    assert all(set(line) == {"messages"} for line in lines)


def test_the_manifest_says_what_the_files_hold(export, row) -> None:
    done = export([row(1), row(2, rating=-1), row(3, rating=-1, expected_answer=CORRECTION)], format="all")
    said = json.loads((done.folder / "out.manifest.json").read_text())
    assert said["schema_version"] == 1
    assert said["spec"]["filters"]["min_query_chars"] == 10
    assert {path.name for path in done.folder.iterdir()} == {
        "out.manifest.json",
        *(file["name"] for file in said["files"]),
    }
    for file in said["files"]:
        content = (done.folder / file["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert (content.count(b"\n"), len(content)) == (file["records"], file["bytes"])
        validate = jsonschema.Draft202012Validator(file["line_schema"])
        for line in content.splitlines():
            validate.validate(json.loads(line))


def test_a_failed_export_leaves_the_last_one_whole(tmp_path, row) -> None:
    folder, name = LocalFolder(tmp_path), checked_name("out")
    spec = ExportSpec(filters=Filters.last(7), format="all")
    write_export([row(1)], spec, folder, name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken():
        yield row(2)
        raise ConnectionError("the database went away")

    with pytest.raises(ConnectionError):
        write_export(broken(), spec, folder, name)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["hi", "how do I change it?", "where is my refund now?"]),
        st.sampled_from(["ok", "Open your booking and choose.", CORRECTION]),
        st.sampled_from([1, -1]),
        st.sampled_from([None, "", "no", CORRECTION]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS, uncorrected=st.sampled_from(["include", "exclude"]), deduplicate=st.booleans())
def test_every_row_read_is_in_one_counter(export, row, rows, uncorrected, deduplicate) -> None:
    found = [
        row(n, query=query, response=response, rating=rating, expected_answer=expected)
        for n, (query, response, rating, expected) in enumerate(rows)
    ]
    filters = Filters.last(7).model_copy(update={"deduplicate": deduplicate})
    done = export(found, filters=filters, format="all", uncorrected_negatives=uncorrected)
    counts, lines = done.manifest.counts, done.lines()
    assert counts.rows_read == len(found) == counts.kept + sum(counts.filtered.values())
    assert counts.total_samples == len(lines) == counts.rows_read - counts.filtered_out_samples
    assert counts.total_samples + counts.uncorrected_negatives_left_out == counts.kept
    assert counts.total_weight == pytest.approx(sum(line["weight"] for line in lines))
    assert counts.positive_samples == sum(line["metadata"]["rating"] == 1 for line in lines)
    marked = sum(line["metadata"].get("uncorrected_negative", False) for line in lines)
    assert counts.uncorrected_negative_samples == marked
    for file in done.manifest.files:
        if "nemo" not in file.name:
            assert file.records + sum(file.left_out.values()) == counts.kept
    assert not [line for line in done.lines(".nemo") if line["messages"][1]["content"] == "ok"]
    again = export(found, filters=filters, format="all", uncorrected_negatives=uncorrected)
    assert again.manifest.digests == done.manifest.digests


def test_the_range_must_be_one() -> None:
    last = Filters.last(7)
    with pytest.raises(ValueError, match="not before"):
        Filters(start=last.end, end=last.end)
    assert last.end - last.start == timedelta(days=7)


def test_other_weights_are_written(row) -> None:
    weights = Weights(thumbs_up=3, thumbs_down=0.25)
    assert sft_line(row(1), weights)["weight"] == 3
    assert sft_line(row(1, rating=-1), weights)["weight"] == 0.25
