"""Customization of an embedding model: from triplets to a retriever that finds more."""

import json
import random

import pytest

BASE = "nvidia/llama-3.2-nv-embedqa-1b-v2"
CONFIG = "nvidia/llama-3.2-nv-embedqa-1b@v2+A100"
JOBS = "/v1/customization/jobs"
SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
METRICS = ("recall_4", "ndcg_cut_10")


class Library:
    """Topics that are asked for in one set of words and told in another, so that a base finds little."""

    def __init__(self, topics=8):
        draw = random.Random(1)

        def words(count):
            return ["".join(draw.choices(SYLLABLES, k=3)) for _ in range(count)]

        self.asked = [words(4) for _ in range(topics)]
        told, self.common = [words(4) for _ in range(topics)], words(8)
        self.pages = [
            (topic, " ".join([*draw.sample(told[topic], 3), *draw.sample(self.common, 3)]))
            for topic in range(topics)
            for _ in range(4)
        ]

    def triplets(self, count, seed):
        draw, rows = random.Random(seed), []
        for _ in range(count):
            topic, page = draw.choice(self.pages)
            others = [text for other, text in self.pages if other != topic]
            query = self.question(topic, draw)
            rows.append({"query": query, "pos_doc": page, "neg_doc": draw.sample(others, 2)})
        return rows

    def question(self, topic, draw):
        return " ".join([*draw.sample(self.asked[topic], 2), draw.choice(self.common)])

    def beir(self, count, seed):
        """Held-out questions; all pages of their topic are right."""
        draw = random.Random(seed)
        topics = [draw.randrange(len(self.asked)) for _ in range(count)]
        queries = [{"_id": f"q{n}", "text": self.question(topic, draw)} for n, topic in enumerate(topics)]
        corpus = [{"_id": f"p{n}", "text": text} for n, (_, text) in enumerate(self.pages)]
        right = [
            f"q{n}\tp{place}\t1\n"
            for n, topic in enumerate(topics)
            for place, page in enumerate(self.pages)
            if page[0] == topic
        ]
        qrels = "query-id\tcorpus-id\tscore\n" + "".join(right)
        return {
            "beir/queries.jsonl": lines(queries),
            "beir/corpus.jsonl": lines(corpus),
            "beir/qrels/test.tsv": qrels.encode(),
        }


def lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def shuffled(rows):
    """The same questions, each with the passage of another."""
    passages = [row["pos_doc"] for row in rows]
    random.Random(3).shuffle(passages)
    return [row | {"pos_doc": passage} for row, passage in zip(rows, passages, strict=True)]


@pytest.fixture(scope="module", autouse=True)
def library(client):
    books = Library()
    rows, validation = books.triplets(120, seed=5), lines(books.triplets(24, seed=6))
    kinds = {"library": rows, "library-few": rows[:16], "library-shuffled": shuffled(rows)}
    for name, kept in kinds.items():
        files = {"training/t.jsonl": lines(kept), "validation/v.jsonl": validation}
        client.upload(name, files | books.beir(40, seed=7))
    client.deploy("library-base", BASE)
    yield books
    client.ok("DELETE", "/v1/deployment/model-deployments/flywheel/library-base")


def ordered(client, dataset, output, **hyperparameters):
    chosen = {"finetuning_type": "all_weights", "epochs": 3, "batch_size": 16, "learning_rate": 1e-4}
    body = {
        "namespace": "flywheel",
        "config": CONFIG,
        "dataset": {"namespace": "flywheel", "name": dataset},
        "hyperparameters": chosen | hyperparameters,
        "output_model": f"flywheel/{output}",
    }
    return client.post(JOBS, json=body)


def trained(client, dataset, output, **hyperparameters):
    answer = ordered(client, dataset, output, **hyperparameters)
    assert answer.status_code == 200, answer.text
    return client.until(f"{JOBS}/{answer.json()['id']}")


def scores(client, model):
    pipeline = {"query_embedding_model": model, "index_embedding_model": model}
    task = {
        "type": "beir",
        "dataset": {"files_url": "hf://datasets/flywheel/library/beir"},
        "metrics": {name: {"type": name} for name in METRICS},
    }
    body = {
        "config": {"type": "retriever", "tasks": {"b": task}},
        "target": {"type": "retriever", "retriever": {"pipeline": pipeline}},
    }
    job = client.ok("POST", "/v1/evaluation/jobs", json=body)
    ended = client.until(f"/v1/evaluation/jobs/{job['id']}")
    assert ended["status"] == "completed", ended["status_details"]
    found = client.ok("GET", f"/v1/evaluation/jobs/{job['id']}/results")["groups"]["evaluation"]
    return [found["metrics"]["evaluation"]["scores"][name]["value"] for name in METRICS]


def deployed_scores(client, dataset, output):
    job = trained(client, dataset, output)
    assert job["status"] == "completed", job["status_details"]
    client.deploy(output, job["output_model"])
    return scores(client, f"flywheel/{output}")


def test_the_more_is_learnt_the_more_is_found_and_wrong_labels_teach_nothing(client):
    base = scores(client, BASE)
    few, all_rows, wrong = (
        deployed_scores(client, name, f"{name}-model")
        for name in ("library-few", "library", "library-shuffled")
    )
    for at in range(len(METRICS)):
        assert base[at] + 0.1 < few[at] < all_rows[at] - 0.1
        assert wrong[at] < few[at]
    assert all_rows[0] > 0.8


def test_a_training_reports_epochs_and_losses(client):
    job = trained(client, "library", "library-losses", epochs=4)
    details = client.ok("GET", f"{JOBS}/{job['id']}/status")
    done = (details["epochs_completed"], details["steps_completed"], details["percentage_done"])
    assert done == (4, 32, 100.0)
    losses = {
        name: [point["value"] for point in details["metrics"]["metrics"][name]]
        for name in ("train_loss", "val_loss")
    }
    assert losses["train_loss"][0] > losses["train_loss"][-1] > 0
    for name, values in losses.items():
        assert (len(values), values[-1]) == (4, details[name])
    assert losses["val_loss"][details["best_epoch"] - 1] == min(losses["val_loss"]) < 3.0
    entity = client.ok("GET", f"/v1/models/{job['output_model']}")
    assert (entity["base_model"], entity["peft"]["finetuning_type"]) == (BASE, "all_weights")
    assert job["config_snapshot"]["max_seq_length"] == 2048


def test_weights_are_served_by_a_deployment_of_their_own_under_the_name_of_the_output(client):
    job = trained(client, "library", "library-served", epochs=1)
    served = "flywheel/library-served"
    asked = {"input": "a text", "input_type": "query"}
    assert not any(name.startswith(served) for name in client.served())
    assert client.post("/nim/v1/embeddings", json=asked | {"model": served}).status_code == 404
    client.deploy("library-served", job["output_model"])
    assert served in client.served()
    vectors = {
        dimensions: client.ok("POST", "/nim/v1/embeddings", json=asked | {"model": served} | more)["data"][0]
        for dimensions, more in ((2048, {}), (256, {"dimensions": 256}))
    }
    for dimensions, vector in vectors.items():
        assert len(vector["embedding"]) == dimensions
        assert sum(value * value for value in vector["embedding"]) == pytest.approx(1)
    too_many = client.post("/nim/v1/embeddings", json=asked | {"model": served, "dimensions": 4096})
    assert (too_many.status_code, too_many.json()["param"]) == (400, "dimensions")
    talk = {"model": served, "messages": [{"role": "user", "content": "hello"}]}
    assert client.post("/nim/v1/chat/completions", json=talk).status_code == 400


def test_equal_training_gives_equal_weights(client):
    jobs = [trained(client, "library-few", f"library-same{n}", seed=7) for n in range(2)]
    files = [
        client.get(f"/v1/hf/flywheel/library-same{n}/resolve/{job['id']}/adapter.npz").content
        for n, job in enumerate(jobs)
    ]
    assert files[0] == files[1]
    assert len(files[0]) > 1000


def test_rows_of_another_kind_are_no_training_data(client):
    chat = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}
    client.upload("library-chat", {"training/t.jsonl": lines([chat, {"query": "q", "pos_doc": ["a"]}])})
    job = trained(client, "library-chat", "library-chat")
    assert job["status"] == "failed"
    assert "must have `query` and `pos_doc`" in job["status_details"]["status_logs"][-1]["detail"]


def test_an_adapter_of_an_embedding_model_is_refused(client):
    answer = ordered(client, "library", "library-lora", finetuning_type="lora")
    assert (answer.status_code, "it has sft/all_weights" in answer.text) == (422, True)
