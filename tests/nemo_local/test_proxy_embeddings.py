"""Embeddings of the NIM proxy: shapes, input types, limits."""

import base64
import math
import struct

import nemo_microservices
import pytest
from flywheel_client import MODEL
from nemo_microservices import NeMoMicroservices

EMBEDDINGS = "/nim/v1/embeddings"
LARGE, SMALL = "nvidia/llama-3.2-nv-embedqa-1b-v2", "nvidia/nv-embedqa-e5-v5"


@pytest.fixture(scope="module", autouse=True)
def deployed(client):
    for name, model in (("emb-chat", MODEL), ("emb-large", LARGE), ("emb-small", SMALL)):
        client.deploy(name, model)


@pytest.fixture(scope="module")
def sdk(client):
    with NeMoMicroservices(base_url=client.url, inference_base_url=f"{client.url}/nim") as made:
        yield made


def body(**change):
    return {"model": LARGE, "input": "When is the pool open?", "input_type": "query"} | change


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("model", "dimensions"), [(LARGE, 2048), (SMALL, 1024)])
def test_each_text_gets_a_vector_of_norm_one(sdk, model, dimensions):
    texts = ["The pool opens at eight.", "Bring a towel."]
    answer = sdk.embeddings.create(model=model, input=texts, input_type="passage")
    assert [row.index for row in answer.data] == [0, 1]
    for row in answer.data:
        assert len(row.embedding) == dimensions
        assert math.hypot(*row.embedding) == pytest.approx(1)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0
    alone = sdk.embeddings.create(model=model, input=texts[0], input_type="passage")
    assert alone.data[0].embedding == answer.data[0].embedding


def test_a_question_is_nearest_to_what_answers_it(sdk):
    texts = ["Opening hours of the pool: eight to ten.", "Dogs stay outside.", "Lost keys are at the desk."]
    passages = sdk.embeddings.create(model=LARGE, input=texts, input_type="passage").data
    question = sdk.embeddings.create(model=LARGE, input="When is the pool open?", input_type="query").data[0]
    found = [near(question.embedding, passage.embedding) for passage in passages]
    assert found[0] > 0.3 > max(found[1:])


def test_base64_holds_the_same_numbers(client):
    plain = client.ok("POST", EMBEDDINGS, json=body())["data"][0]["embedding"]
    packed = client.ok("POST", EMBEDDINGS, json=body(encoding_format="base64"))["data"][0]["embedding"]
    raw = base64.b64decode(packed)
    assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(plain, abs=1e-6)


def test_fewer_dimensions_where_the_model_has_them(client, sdk):
    short = sdk.embeddings.create(**body(), dimensions=256).data[0].embedding
    assert (len(short), math.hypot(*short)) == (256, pytest.approx(1))
    for model, dimensions in ((SMALL, 256), (LARGE, 4096)):
        answer = client.post(EMBEDDINGS, json=body(model=model, dimensions=dimensions))
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "dimensions")


def test_a_text_that_is_too_long_is_refused_or_cut(client):
    text = "pool " * 300 + "towel " * 300
    refused = client.post(EMBEDDINGS, json=body(model=SMALL, input=text))
    assert refused.status_code == 400
    assert "maximum allowed token size 512" in refused.json()["error"]["message"]
    pool = client.ok("POST", EMBEDDINGS, json=body(model=SMALL, input="pool"))["data"][0]["embedding"]
    found = {}
    for end in ("START", "END"):
        answer = client.ok("POST", EMBEDDINGS, json=body(model=SMALL, input=text, truncate=end))
        found[end] = near(pool, answer["data"][0]["embedding"])
    assert found["END"] > found["START"] + 0.1


def test_a_chat_model_embeds_nothing(sdk):
    with pytest.raises(nemo_microservices.BadRequestError, match="does not support Embeddings"):
        sdk.embeddings.create(model=MODEL, input="x", input_type="query")
    with pytest.raises(nemo_microservices.NotFoundError, match="does not exist"):
        sdk.embeddings.create(model="nvidia/no-embedder", input="x", input_type="query")


@pytest.mark.parametrize(
    "change",
    [
        {"input_type": None},
        {"input_type": "document"},
        {"input": []},
        {"input": ""},
        {"input": [3]},
        {"encoding_format": "int8"},
        {"dimensions": 0},
        {"truncate": "MIDDLE"},
    ],
    ids=str,
)
def test_a_body_that_is_no_embedding_request_is_refused(client, change):
    answer = client.post(EMBEDDINGS, json=body(**change))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", next(iter(change))]
