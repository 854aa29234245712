"""A whole turn of a flywheel against one server, and what its parts show on the way."""

import travel_desk
from flywheel_client import MODEL, evaluation_config

TEST = travel_desk.turns(40, seed=2)


def test_a_turn_of_the_flywheel(client):
    train, validation = travel_desk.turns(120, seed=1), travel_desk.turns(20, seed=3)
    client.upload(
        "turn",
        {
            "training/train.jsonl": travel_desk.jsonl([travel_desk.training_row(turn) for turn in train]),
            "validation/val.jsonl": travel_desk.jsonl(
                [travel_desk.training_row(turn) for turn in validation]
            ),
            "testing/eval.jsonl": travel_desk.jsonl([travel_desk.evaluation_row(turn) for turn in TEST]),
        },
    )
    client.deploy("turn-1b")
    assert MODEL in client.served()

    base = client.evaluate(evaluation_config("turn"), MODEL)
    assert base["status"] == "completed", base["status_details"]
    assert base["status_details"]["samples_processed"] == len(TEST)
    assert base["status_details"]["progress"] is None

    trained = client.customize("turn", output="flywheel/turn-toy")
    assert trained["status"] == "completed", trained["status_details"]
    assert trained["output_model"] == f"flywheel/turn-toy@{trained['id']}"
    client.until_served(trained["output_model"])
    customized = client.evaluate(evaluation_config("turn"), trained["output_model"])
    assert client.scores(customized)["function_name_accuracy"] > 0.9
    assert (
        client.scores(customized)["function_name_accuracy"]
        > client.scores(base)["function_name_accuracy"] + 0.2
    )

    rows = client.rows(customized)
    assert [row["id"] for row in rows] == list(range(len(TEST)))
    assert [row["item"]["item_id"] for row in rows] == [f"{turn['number']:016x}" for turn in TEST]
    assert "request" not in rows[0]["item"]
    mean = sum(row["tool-calling-accuracy"]["function_name_accuracy"] for row in rows) / len(rows)
    assert mean == client.scores(customized)["function_name_accuracy"]
