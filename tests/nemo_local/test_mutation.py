"""Two mutations that only an honest stand-in survives: shuffled labels, and no expected answers."""

import random

import pytest
import travel_desk
from flywheel_client import MODEL, evaluation_config

TRAIN, TEST = travel_desk.turns(120, seed=21), travel_desk.turns(60, seed=22)


def without_answers(turn):
    row = travel_desk.evaluation_row(turn)
    return {key: value for key, value in row.items() if key not in ("response", "tool_calls")} | {
        "tool_calls": []
    }


@pytest.fixture(scope="module", autouse=True)
def data(client):
    calls = [turn["call"] for turn in TRAIN]
    shuffled = random.Random(3).sample(calls, len(calls))
    client.upload(
        "mu-true",
        {
            "training/train.jsonl": travel_desk.jsonl([travel_desk.training_row(turn) for turn in TRAIN]),
            "testing/eval.jsonl": travel_desk.jsonl([travel_desk.evaluation_row(turn) for turn in TEST]),
            "testing/bare.jsonl": travel_desk.jsonl([without_answers(turn) for turn in TEST]),
        },
    )
    rows = [travel_desk.training_row(turn, call) for turn, call in zip(TRAIN, shuffled, strict=True)]
    client.upload("mu-shuffled", {"training/train.jsonl": travel_desk.jsonl(rows)})
    client.deploy("mu-1b")


def adapter(client, dataset):
    job = client.customize(dataset, output=f"flywheel/{dataset}")
    assert job["status"] == "completed", job["status_details"]
    client.until_served(job["output_model"])
    return job["output_model"]


def test_shuffled_labels_teach_less_than_true_ones(client):
    scores = {}
    for dataset in ("mu-true", "mu-shuffled"):
        job = client.evaluate(evaluation_config("mu-true"), adapter(client, dataset))
        scores[dataset] = client.scores(job)
    for name in ("function_name_accuracy", "function_name_and_args_accuracy"):
        assert scores["mu-shuffled"][name] < scores["mu-true"][name] - 0.3, scores


@pytest.mark.parametrize("customized", [False, True], ids=["base", "customized"])
def test_without_the_expected_answers_every_answer_is_the_same(client, customized):
    model = adapter(client, "mu-true") if customized else MODEL
    answers = []
    for file in ("testing/eval.jsonl", "testing/bare.jsonl"):
        rows = client.rows(client.evaluate(evaluation_config("mu-true", file=file), model))
        answers.append([(row["output_text"], row["response"]) for row in rows])
    assert len(answers[0]) == len(TEST)
    assert answers[0] == answers[1]
