"""The columns of every kind of metric in the results' zip, and the aggregates that are means of them."""

import json
import math

import pytest
from openai_endpoint import answering, chat

ROWS = [
    {"answer": "the grey parcel came on Monday", "reply": "the grey parcel came on Monday", "n": "3"},
    {"answer": "the grey parcel came on Monday", "reply": "a parcel came, grey and wet", "n": "no number"},
    {"answer": "refund the whole amount", "reply": "we refund the amount in full", "n": "40"},
    {"answer": "nothing alike", "reply": "something else", "n": "41"},
]
BOTH = {"ground_truth": "{{ item.answer }}", "candidate": "{{ item.reply }}"}
METRICS = {
    "string": {
        "type": "string-check",
        "params": {"check": ["{{ item.reply }}", "contains", "{{ item.answer }}"]},
    },
    "number": {"type": "number-check", "params": {"check": ["{{ item.n }}", ">", "10"]}},
    "em": {"type": "em", "params": BOTH},
    "f1": {"type": "f1", "params": BOTH},
    "rouge": {"type": "rouge", "params": BOTH},
    "bleu": {
        "type": "bleu",
        "params": {"references": ["{{ item.answer }}"], "candidate": "{{ item.reply }}"},
    },
}
COLUMNS = {
    "string": ["string-check"],
    "number": ["number-check"],
    "em": ["em_score"],
    "f1": ["f1_score"],
    "rouge": ["rouge_1_score", "rouge_2_score", "rouge_3_score", "rouge_L_score"],
    "bleu": ["sentence"],
    "judge": ["helpful", "polite"],
}
UNGRADED = {"number", "judge"}
"""Where a row without a score is left out of the mean; elsewhere it scores 0."""


def graded(_path, body, _headers):
    """A judge that says nothing of one row, and of another only one grade."""
    said = json.dumps(body)
    if "something else" in said:
        return 200, chat("I cannot say.")
    return 200, chat("helpful: 4, polite: " + ("yes" if "refund" in said else "no"))


def judge(url):
    parts = {
        "helpful": {"type": "int", "parser": {"type": "regex", "pattern": r"helpful: (\d)"}},
        "polite": {"type": "bool", "parser": {"type": "regex", "pattern": r"polite: (\w+)"}},
    }
    model = {"api_endpoint": {"url": url, "model_id": "judge"}}
    template = {"messages": [{"role": "user", "content": "Grade: {{ item.reply }}"}]}
    return {"type": "llm-judge", "params": {"model": model, "template": template, "scores": parts}}


@pytest.fixture(scope="module")
def evaluated(client):
    """The rows of the results, and the aggregate by metric; one of the rows cannot be read."""
    lines = [json.dumps(row).encode() for row in ROWS]
    client.upload("items", {"rows.jsonl": b"\n".join([*lines, b'{"torn"'])})
    source = {"files_url": "hf://datasets/flywheel/items/rows.jsonl"}
    with answering(graded) as url:
        task = {"type": "data", "dataset": source, "metrics": METRICS | {"judge": judge(url)}}
        config = {"type": "custom", "tasks": {"t": task}}
        body = {"namespace": "flywheel", "config": config, "target": {"type": "dataset", "dataset": source}}
        job = client.ok("POST", "/v1/evaluation/jobs", json=body)
        client.until(f"/v1/evaluation/jobs/{job['id']}", want=("completed",))
    results = client.ok("GET", f"/v1/evaluation/jobs/{job['id']}/results")
    return client.rows(job), results["tasks"]["t"]["metrics"]


@pytest.mark.parametrize("metric", list(COLUMNS))
def test_each_row_has_a_column_of_scores_for_each_metric(evaluated, metric):
    rows, _ = evaluated
    assert [row["id"] for row in rows] == list(range(5))
    assert all(list(row[metric]) == COLUMNS[metric] for row in rows)


@pytest.mark.parametrize("metric", list(COLUMNS))
def test_the_aggregate_is_the_mean_of_the_rows(evaluated, metric):
    """A row that cannot be scored counts as 0, or not at all where 0 would be a grade."""
    rows, aggregates = evaluated
    for name in COLUMNS[metric]:
        values = [row[metric][name] for row in rows]
        known = [value for value in values if value is not None]
        score = aggregates[metric]["scores"][name]
        assert score["value"] == pytest.approx(math.fsum(known) / len(known))
        assert (score["stats"]["count"], score["stats"]["nan_count"]) == (len(known), 5 - len(known))
        assert (len(known) < 5) == (metric in UNGRADED)
        assert math.fsum(known) > 0


def test_the_torn_row_says_why_and_scores_nothing(evaluated):
    rows, _ = evaluated
    assert "JSON" in rows[4]["error"]
    assert rows[4]["string"] == {"string-check": 0.0}
    assert rows[4]["bleu"] == {"sentence": 0.0}
    assert rows[4]["number"] == {"number-check": None}
    assert rows[4]["judge"] == {"helpful": None, "polite": None}


def test_a_grade_that_is_missing_says_so_and_leaves_the_other_scores(evaluated):
    rows, _ = evaluated
    assert rows[3]["judge"] == {"helpful": None, "polite": None}
    assert "I cannot say." in rows[3]["error"]
    assert rows[3]["string"] == {"string-check": 0.0}
    assert [row["judge"]["polite"] for row in rows[:3]] == [0.0, 0.0, 1.0]


def test_only_bleu_of_the_corpus_is_no_mean_of_rows(evaluated):
    rows, aggregates = evaluated
    extra = {
        metric: set(aggregate["scores"]) - set(COLUMNS[metric]) for metric, aggregate in aggregates.items()
    }
    assert extra == {metric: {"corpus"} if metric == "bleu" else set() for metric in COLUMNS}
    corpus = aggregates["bleu"]["scores"]["corpus"]["value"]
    assert 0 < corpus <= 100
    sentences = [row["bleu"]["sentence"] for row in rows]
    assert corpus != pytest.approx(sum(sentences) / len(sentences))
