"""What was learnt for labels and for text is served: from an uploaded file to answers of the NIM proxy."""

import pytest
import samples
import travel_desk
from flywheel_client import MODEL

CHAT = "/nim/v1/chat/completions"


@pytest.fixture(scope="module", autouse=True)
def deployed(client):
    client.deploy("learning-1b")


def right(client, model, test_rows):
    """Share of answers that are word for word the right ones."""
    found = 0
    for row in test_rows:
        body = {"model": model, "messages": row["messages"][:-1]}
        message = client.ok("POST", CHAT, json=body)["choices"][0]["message"]
        found += message["content"] == row["messages"][-1]["content"]
    return found / len(test_rows)


@pytest.mark.parametrize("kind", ["labels", "answers"])
def test_a_trained_model_answers_better_than_its_base(client, kind):
    train_rows, test_rows = samples.rows(kind, 120, seed=1), samples.rows(kind, 25, seed=2)
    files = {
        "training/train.jsonl": travel_desk.jsonl(train_rows),
        "validation/val.jsonl": travel_desk.jsonl(samples.rows(kind, 20, seed=3)),
    }
    client.upload(f"learning-{kind}", files)
    job = client.customize(f"learning-{kind}", output=f"flywheel/{kind}")
    assert job["status"] == "completed", job["status_details"]
    client.until_served(job["output_model"])
    base, customized = (right(client, model, test_rows) for model in (MODEL, job["output_model"]))
    assert base < customized - 0.3
    assert customized > 0.8


def test_rows_of_prompts_and_completions_are_learnt(client):
    rows = [
        {"prompt": row["messages"][1]["content"], "completion": row["messages"][2]["content"]}
        for row in samples.rows("answers", 60, seed=1)
    ]
    client.upload("learning-prompts", {"training/train.jsonl": travel_desk.jsonl(rows)})
    model = client.customize("learning-prompts", output="flywheel/prompts")["output_model"]
    client.until_served(model)
    asked = {"model": model, "prompt": ["may my dog come along", "do you lend bath robes"]}
    choices = client.ok("POST", "/nim/v1/completions", json=asked)["choices"]
    assert ["Dogs" in choices[0]["text"], "towel" in choices[1]["text"]] == [True, True]
