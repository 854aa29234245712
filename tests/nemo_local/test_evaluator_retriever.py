"""Retriever evaluation over a BEIR data set, driven by the official SDK."""

import io
import json
import math
import time
import zipfile

import nemo_microservices
import pytest
from nemo_microservices import NeMoMicroservices
from openai_endpoint import answering

TOPICS = ("refund", "delivery", "invoice", "password")
CORPUS = [{"_id": f"{topic}-{n}", "title": topic, "text": f"page {n}"} for topic in TOPICS for n in range(40)]
QUERIES = [{"_id": f"q-{topic}", "text": f"my {topic}"} for topic in TOPICS] + [
    {"_id": "unjudged", "text": "x"}
]
QRELS = "query-id\tcorpus-id\tscore\n" + "".join(
    f"q-{topic}\t{topic}-{n}\t{2 if n == 0 else 1}\n" for topic in TOPICS for n in range(4)
)
JOBS = "/v1/evaluation/jobs"


@pytest.fixture(scope="module")
def sdk(client):
    files = {
        "beir/corpus.jsonl": lines(CORPUS),
        "beir/queries.jsonl": lines(QUERIES),
        "beir/qrels/test.tsv": QRELS.encode(),
        "beir/qrels/torn.tsv": QRELS.encode() + b"q-refund\trefund-1\n",
        "beir/qrels/others.tsv": b"query-id\tcorpus-id\tscore\nnobody\trefund-1\t1\n",
    }
    client.upload("retrieval", files)
    with NeMoMicroservices(base_url=client.url) as made:
        yield made


def lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def embeddings(_path, body, _headers):
    """One direction a topic; the page's number turns a document away from it, little by little."""
    assert body["input_type"] in ("query", "passage")

    def vector(text):
        found = [float(topic in text) for topic in TOPICS]
        return [*found, int(text.split()[-1]) / 10 if body["input_type"] == "passage" else 0.0]

    data = [{"index": i, "embedding": vector(text)} for i, text in enumerate(body["input"])]
    # The order on the wire is no promise; the index is.
    return 200, {"data": data[::-1]}


def target(url, **more):
    model = {"api_endpoint": {"url": url, "model_id": "embedder"}}
    return {
        "type": "retriever",
        "retriever": {"pipeline": {"query_embedding_model": model, "index_embedding_model": model} | more},
    }


def config(*metrics, split="test", **params):
    dataset = {"files_url": "hf://datasets/flywheel/retrieval/beir", "split": split}
    task = {
        "type": "beir",
        "dataset": dataset,
        "params": params,
        "metrics": {name: {"type": name} for name in metrics},
    }
    return {"type": "retriever", "tasks": {"b": task}}


def ended(sdk, configuration, pipeline):
    job = sdk.evaluation.jobs.create(config=configuration, target=pipeline)
    deadline = time.monotonic() + 10
    while (job := sdk.evaluation.jobs.retrieve(job.id)).status not in ("completed", "failed"):
        assert time.monotonic() < deadline, job.status_details
        time.sleep(0.02)
    return job


def test_rankings_are_scored_in_both_places(sdk, client):
    with answering(embeddings) as url:
        job = ended(sdk, config("recall_2", "ndcg_cut_10", "map_cut_2", "P_5"), target(url))
    assert job.status == "completed", job.status_details
    results = sdk.evaluation.jobs.results(job.id)
    group = results.groups["evaluation"].metrics["evaluation"].scores
    # The pages 0 to 3 of the topic are relevant, and come first in that order.
    found = {name: group[name].value for name in group}
    assert found == {
        "recall_2": pytest.approx(0.5),
        "ndcg_cut_10": pytest.approx(1.0),
        "map_cut_2": pytest.approx(0.5),
        "P_5": pytest.approx(0.8),
    }
    in_task = results.tasks["b"].metrics["retriever.recall_2"].scores["recall_2"]
    assert (in_task.value, in_task.stats.count, in_task.stats.stddev) == (0.5, len(TOPICS), 0.0)
    with zipfile.ZipFile(io.BytesIO(client.get(f"{JOBS}/{job.id}/download-results").content)) as archive:
        rows = json.loads(archive.read("results.json"))
    assert [row["item"]["_id"] for row in rows] == [f"q-{topic}" for topic in TOPICS]
    assert [hit["id"] for hit in rows[0]["retrieved"]] == [f"refund-{n}" for n in range(10)]
    assert rows[0]["retriever.recall_2"] == {"recall_2": 0.5}


def test_no_more_is_found_than_the_pipeline_gives(sdk):
    with answering(embeddings) as url:
        job = ended(sdk, config("recall_10", "ndcg_cut_10", limit_samples=2), target(url, top_k=1))
    group = sdk.evaluation.jobs.results(job.id).groups["evaluation"].metrics["evaluation"].scores
    ideal = 2 + sum(1 / math.log2(rank + 1) for rank in (2, 3, 4))
    assert group["recall_10"].value == pytest.approx(1 / 4)
    assert group["ndcg_cut_10"].value == pytest.approx(2 / ideal)
    assert group["recall_10"].stats.count == 2
    assert job.status_details.progress == 100.0


@pytest.mark.parametrize(
    ("answer", "split", "reason"),
    [
        (embeddings, "torn", "line 18: give query-id"),
        (embeddings, "others", "none of the queries is judged"),
        (embeddings, "nowhere", "qrels/nowhere.tsv not found"),
        (lambda *_: (200, {"data": [{}]}), "test", "no data[].embedding"),
        (lambda *_: (503, b""), "test", "503"),
        (lambda *_: (200, {"data": []}), "test", "0 vectors for 4 texts"),
    ],
)
def test_an_evaluation_that_cannot_be_done_says_why(sdk, answer, split, reason):
    with answering(answer) as url:
        job = ended(sdk, config("recall_5", split=split), target(url))
    assert job.status == "failed"
    assert reason in job.status_details.message


@pytest.mark.parametrize(
    ("configuration", "pipeline", "says"),
    [
        (config("mrr"), target("http://x"), "recall_<k>"),
        (config("recall_5"), target("http://x", reranker_model="r"), "no reranker models"),
        (config("recall_5"), {"type": "model", "model": "m"}, "needs a target of type retriever"),
        (config("recall_5") | {"type": "custom"}, target("http://x"), "has no beir tasks"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(sdk, configuration, pipeline, says):
    with pytest.raises(nemo_microservices.UnprocessableEntityError, match=says):
        sdk.evaluation.jobs.create(config=configuration, target=pipeline)


def test_served_embedding_models_retrieve(sdk, client):
    model = "nvidia/llama-3.2-nv-embedqa-1b-v2"
    pipeline = {"query_embedding_model": model, "index_embedding_model": model}
    retriever = {"type": "retriever", "retriever": {"pipeline": pipeline}}
    deployments = "/v1/deployment/model-deployments"
    for one in client.ok("GET", deployments, params={"page_size": 1000})["data"]:
        if model in one["models"]:
            client.ok("DELETE", f"{deployments}/{one['namespace']}/{one['name']}")
    job = ended(sdk, config("recall_40"), retriever)
    assert (job.status, "does not exist" in job.status_details.message) == ("failed", True)
    client.deploy("retriever-embedder", model)
    job = ended(sdk, config("recall_40"), retriever)
    assert job.status == "completed", job.status_details
    recall = (
        sdk.evaluation.jobs.results(job.id).groups["evaluation"].metrics["evaluation"].scores["recall_40"]
    )
    # The topic's 40 pages are the only ones that share a word with the query.
    assert recall.value > 0.9
