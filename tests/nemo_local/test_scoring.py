"""Scoring rows: what an error costs, and the statistics over the rows."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.nemo_local import metrics
from include.nemo_local.errors import ModelNotServed, NemoLocalError
from include.nemo_local.scoring import RowScorer, Totals
from include.nemo_local.statistics import ScoreStats

TEMPLATE = {"messages": "{{ item.messages | tojson }}"}
SAME = {
    "type": "string-check",
    "params": {"check": ["{{ sample.output_text }}", "equals", "{{ item.want }}"]},
}
NUMBER = {"type": "number-check", "params": {"check": ["{{ sample.output_text }}", "==", "{{ item.want }}"]}}
CALLS = {"type": "tool-calling", "params": {"tool_calls_ground_truth": "{{ item.calls | tojson }}"}}


def scorer(ask, **configs):
    built = {name: metrics.build(config, field=name) for name, config in configs.items()}
    return RowScorer(TEMPLATE, built, ask)


def test_an_error_of_one_metric_leaves_the_others_as_they_are():
    row = scorer(lambda _: {"content": "5"}, same=SAME, calls=CALLS).score(
        0, b'{"messages": [], "want": "5"}'
    )
    assert row["same"] == {"string-check": 1.0}
    assert set(row["calls"].values()) == {0.0}
    assert row["error"].startswith("calls: RenderError")


@pytest.mark.parametrize("line", [b"no json", b"[1]", b'"text"', b'{"want": "\xff"}'])
def test_a_row_that_is_no_object_scores_what_its_metrics_say(line):
    row = scorer(lambda _: {"content": "5"}, same=SAME, number=NUMBER).score(3, line)
    assert (row["id"], row["item"], row["same"]) == (3, None, {"string-check": 0.0})
    assert math.isnan(row["number"]["number-check"])
    assert row["error"]


def test_a_model_that_fails_costs_its_row_and_one_that_is_gone_ends_all():
    def failing(_):
        raise NemoLocalError("busy")

    def gone(_):
        raise ModelNotServed("m", [])

    assert scorer(failing, same=SAME).score(0, b'{"messages": []}')["error"] == "NemoLocalError: busy"
    with pytest.raises(ModelNotServed):
        scorer(gone, same=SAME).score(0, b'{"messages": []}')


def test_the_model_sees_the_rendered_request_and_its_defaults_only():
    asked = []
    made = RowScorer(
        TEMPLATE | {"top_p": 0.9},
        {"same": metrics.build(SAME, field="m")},
        lambda request: asked.append(request) or {"content": ""},
        {"top_p": 0.1, "temperature": 0.2},
    )
    made.score(0, b'{"messages": [1], "want": "the answer"}')
    assert asked == [{"messages": [1], "top_p": 0.9, "temperature": 0.2}]


@pytest.mark.parametrize("parallelism", [1, 3])
def test_rows_are_read_only_as_they_are_scored(parallelism):
    read = []

    def lines():
        for number in range(1000):
            read.append(number)
            yield b'{"messages": []}'

    rows = scorer(lambda _: {"content": ""}, same=SAME).score_all(lines(), parallelism)
    assert [next(rows)["id"] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(read) <= 5 + 2 * parallelism
    rows.close()


def test_errors_are_counted():
    totals = Totals({"m": ("s",)})
    totals.add({"m": {"s": 1.0}})
    totals.add({"m": {"s": math.nan}, "error": "x"})
    result = totals.result({"m": {"corpus": 7.0}})
    assert result["data"] == {"rows": 2, "errors": 1}
    assert result["metrics"]["m"]["scores"]["corpus"] == {"value": 7.0, "stats": {"count": 2}}
    assert result["metrics"]["m"]["scores"]["s"]["stats"]["nan_count"] == 1


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=30))
def test_statistics_are_those_of_the_values(values):
    stats = ScoreStats()
    for value in values:
        stats.add(value)
    found = stats.result()
    numbers = [value for value in values if not math.isnan(value)]
    assert (found["stats"]["count"], found["stats"]["nan_count"]) == (
        len(numbers),
        len(values) - len(numbers),
    )
    if not numbers:
        assert (found["value"], found["stats"]["mean"]) == (None, None)
        return
    close = {"rel": 1e-6, "abs": 1e-6}
    assert found["value"] == pytest.approx(statistics.fmean(numbers), **close)
    assert found["stats"]["stddev"] == pytest.approx(statistics.pstdev(numbers), **close)
    assert (found["stats"]["min"], found["stats"]["max"]) == (min(numbers), max(numbers))
    assert found["stats"]["stderr"] == pytest.approx(
        statistics.pstdev(numbers) / len(numbers) ** 0.5, **close
    )
