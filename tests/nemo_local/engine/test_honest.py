"""Over the wire: without the expected answers, or with wrong ones, every answer of a model is the same."""

import json

import pytest
import samples
import travel_desk
from flywheel_client import MODEL

EMBEDDER = "nvidia/llama-3.2-nv-embedqa-1b-v2"
KINDS = ["labels", "answers"]
FILES = ["testing/true.jsonl", "testing/bare.jsonl", "testing/wrong.jsonl"]
F1 = {"type": "f1", "params": {"ground_truth": "{{ item.answer }}"}}
EXACT = {
    "type": "string-check",
    "params": {"check": ["{{ sample.output_text }}", "equals", "{{ item.answer }}"]},
}
CHAT = {
    "messages": [
        {"role": "system", "content": "{{ item.system }}"},
        {"role": "user", "content": "{{ item.question }}"},
    ]
}
TEMPLATES = {"chat-completion": CHAT, "completion": {"prompt": "{{ item.system }}\n{{ item.question }}"}}
QUESTIONS = ["may my dog come along", "do you lend bath robes", "opening hours on May 3?"]


@pytest.fixture(scope="module", autouse=True)
def deployed(client):
    client.deploy("honest-1b")
    client.deploy("honest-embedder", EMBEDDER)


@pytest.fixture(scope="module", params=KINDS)
def learnt(client, request):
    """A kind of data, uploaded with true, without and with wrong answers, and the model trained on it."""
    kind, name = request.param, f"honest-{request.param}"
    rows = [_row(row) for row in samples.rows(kind, 25, seed=2)]
    answers = [row["answer"] for row in rows]
    others = [*answers[1:], answers[0]]
    files = {
        "training/train.jsonl": travel_desk.jsonl(samples.rows(kind, 120, seed=1)),
        FILES[0]: travel_desk.jsonl(rows),
        FILES[1]: travel_desk.jsonl([row | {"answer": ""} for row in rows]),
        FILES[2]: travel_desk.jsonl(
            [row | {"answer": other} for row, other in zip(rows, others, strict=True)]
        ),
    }
    client.upload(name, files)
    model = client.customize(name, output=f"flywheel/{name}")["output_model"]
    client.until_served(model)
    return name, model


def _row(row):
    system, question, answer = (message["content"] for message in row["messages"])
    return {"system": system, "question": question, "answer": answer}


def evaluated(client, config, target):
    body = {"namespace": "flywheel", "config": config, "target": target}
    job = client.until(f"/v1/evaluation/jobs/{client.ok('POST', '/v1/evaluation/jobs', json=body)['id']}")
    assert job["status"] == "completed", job["status_details"]
    return job


@pytest.mark.parametrize("customized", [False, True], ids=["base", "customized"])
@pytest.mark.parametrize("task", list(TEMPLATES))
def test_answers_in_text_and_labels_know_nothing_of_what_is_expected(client, learnt, task, customized):
    dataset, model = learnt
    answers, scores = [], []
    for file in FILES:
        asked = {
            "type": task,
            "dataset": {"files_url": f"hf://datasets/flywheel/{dataset}/{file}"},
            "params": {"template": TEMPLATES[task]},
            "metrics": {"f1": F1, "exact": EXACT},
        }
        target = {"type": "model", "model": model if customized else MODEL}
        rows = client.rows(evaluated(client, {"type": "custom", "tasks": {"t": asked}}, target))
        answers.append([(row["output_text"], row["response"]) for row in rows])
        scores.append(sum(row["f1"]["f1_score"] for row in rows) / len(rows))
    assert len(answers[0]) == 25
    assert all(text for text, _ in answers[0])
    assert answers[0] == answers[1] == answers[2]
    if customized and task == "chat-completion":
        assert scores[0] > 0.5 > max(scores[1:])


def test_what_is_found_knows_nothing_of_the_judgements(client):
    """A retriever's documents and their scores come from embeddings of the texts alone."""
    corpus = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(samples.ANSWERS)]
    queries = [{"_id": f"q{n}", "text": text} for n, text in enumerate(QUESTIONS)]
    head = "query-id\tcorpus-id\tscore\n"
    files = {
        "beir/corpus.jsonl": travel_desk.jsonl(corpus),
        "beir/queries.jsonl": travel_desk.jsonl(queries),
        "beir/qrels/true.tsv": (head + "q0\td3\t1\nq1\td2\t1\nq2\td0\t1\n").encode(),
        "beir/qrels/wrong.tsv": (head + "q0\td5\t1\nq1\td5\t2\nq2\td5\t1\n").encode(),
        "beir/qrels/bare.tsv": (head + "q0\td9\t0\nq1\td9\t0\nq2\td9\t0\n").encode(),
    }
    client.upload("honest-beir", files)
    pipeline = {"query_embedding_model": EMBEDDER, "index_embedding_model": EMBEDDER}
    found = {}
    for split in ("true", "wrong", "bare"):
        dataset = {"files_url": "hf://datasets/flywheel/honest-beir/beir", "split": split}
        task = {"type": "beir", "dataset": dataset, "metrics": {"recall_1": {"type": "recall_1"}}}
        target = {"type": "retriever", "retriever": {"pipeline": pipeline}}
        job = evaluated(client, {"type": "retriever", "tasks": {"t": task}}, target)
        rows = client.rows(job)
        found[split] = [(row["item"]["_id"], row["retrieved"]) for row in rows]
        recall = [row["retriever.recall_1"]["recall_1"] for row in rows]
        assert split == "true" or sum(recall) == 0
    assert len(found["true"]) == len(QUESTIONS)
    assert found["true"] == found["wrong"] == found["bare"]


def test_a_text_has_one_vector_whatever_is_asked_beside_it(client):
    def vectors(texts):
        body = {"model": EMBEDDER, "input": texts, "input_type": "query"}
        return [one["embedding"] for one in client.ok("POST", "/nim/v1/embeddings", json=body)["data"]]

    together = vectors([*QUESTIONS, *samples.ANSWERS])
    assert together[: len(QUESTIONS)] == vectors(QUESTIONS) == [vectors([one])[0] for one in QUESTIONS]
    assert len({json.dumps(vector) for vector in together}) == len(together)
