"""Customization jobs: what is refused, how they go on, and how they end."""

import pytest
import travel_desk
from flywheel_client import MODEL, customization_body

JOBS = "/v1/customization/jobs"
ROWS = [travel_desk.training_row(turn) for turn in travel_desk.turns(40, seed=5)]


@pytest.fixture(scope="module", autouse=True)
def data(client):
    client.upload(
        "cz",
        {"training/train.jsonl": travel_desk.jsonl(ROWS), "validation/v.jsonl": travel_desk.jsonl(ROWS[:8])},
    )
    client.upload("cz-empty", {"testing/eval.jsonl": b"{}\n"})
    client.upload("cz-torn", {"training/train.jsonl": travel_desk.jsonl(ROWS[:3]) + b'{"messages": [\n'})
    client.upload(
        "cz-unanswered", {"training/t.jsonl": b'{"messages": [{"role": "user", "content": "?"}]}\n'}
    )


@pytest.fixture
def behave(client):
    """Adds a behaviour for the test's duration."""
    yield lambda **kwargs: client.ok("POST", "/_local/behaviours", json={"kind": "customization"} | kwargs)
    client.ok("DELETE", "/_local/behaviours")


def test_the_catalogue_is_there(client):
    targets = client.ok("GET", "/v1/customization/targets", params={"filter[enabled]": "true"})["data"]
    assert "llama-3.2-1b-instruct@2.0" in [target["name"] for target in targets]
    query = {"filter[target_base_model]": MODEL}
    configs = client.ok("GET", "/v1/customization/configs", params=query)["data"]
    assert configs[0]["name"] == "llama-3.2-1b-instruct@v1.0.0+A100"
    assert configs[0]["training_options"][0]["finetuning_type"] == "lora"


def test_a_new_configuration_can_be_trained_with(client):
    option = {"training_type": "sft", "finetuning_type": "lora", "num_gpus": 2, "micro_batch_size": 1}
    config = {
        "name": "own@v2",
        "namespace": "flywheel",
        "target": "meta/llama-3.1-8b-instruct@2.0",
        "training_options": [option],
        "max_seq_length": 8192,
    }
    client.ok("POST", "/v1/customization/configs", json=config)
    assert client.post("/v1/customization/configs", json=config).status_code == 409
    job = client.ok("POST", JOBS, json=customization_body("cz") | {"config": "flywheel/own@v2"})
    assert job["config_snapshot"]["base_model"] == "meta/llama-3.1-8b-instruct"
    assert job["config_snapshot"]["max_seq_length"] == 8192
    assert client.until(f"{JOBS}/{job['id']}")["status"] == "completed"
    in_place = customization_body("cz", output="flywheel/in-place", epochs=1)
    in_place["config"] = {key: config[key] for key in ("target", "training_options", "max_seq_length")}
    job = client.ok("POST", JOBS, json=in_place)
    assert job["config_snapshot"]["base_model"] == "meta/llama-3.1-8b-instruct"
    assert client.until(f"{JOBS}/{job['id']}")["status"] == "completed"
    unknown = client.post("/v1/customization/configs", json=config | {"name": "x@v1", "target": "no/one@1"})
    assert unknown.status_code == 404
    assert "llama-3.1-8b-instruct@2.0" in unknown.json()["detail"]


def test_a_job_as_it_is_created(client):
    body = customization_body("cz") | {"custom_fields": {"nim": "1b", "attempt": 2}}
    body["hyperparameters"] = {"finetuning_type": "lora", "epochs": 1}
    job = client.ok("POST", JOBS, json=body)
    assert job["id"].startswith("cust-")
    assert (job["status"], job["dataset"]) == ("created", "flywheel/cz")
    assert job["output_model"] == f"flywheel/toy@{job['id']}"
    assert job["hyperparameters"]["lora"]["alpha"] == 16
    assert job["hyperparameters"]["batch_size"] == 8
    entity = client.ok("GET", f"/v1/models/{job['output_model']}")
    assert (entity["base_model"], entity["peft"]) == (MODEL, {"finetuning_type": "lora"})
    found = client.ok("GET", JOBS, params={"filter[project]": "run-1", "filter[epochs]": 1})["data"]
    assert (found[-1]["id"], found[-1]["custom_fields"]) == (job["id"], {"nim": "1b", "attempt": 2})
    refused = client.get(JOBS, params={"filter[custom_fields][attempt]": 2})
    assert (refused.status_code, "has no filter `custom_fields`" in refused.text) == (422, True)
    client.until(f"{JOBS}/{job['id']}")


def test_progress_and_losses_are_those_of_the_fit(client):
    job = client.customize("cz", output="flywheel/progress", epochs=4)
    details = client.ok("GET", f"{JOBS}/{job['id']}/status")
    assert details["status"] == job["status"] == "completed"
    assert (details["epochs_completed"], details["percentage_done"]) == (4, 100.0)
    assert (details["steps_per_epoch"], details["steps_completed"]) == (3, 12)
    losses = details["metrics"]["metrics"]
    assert len(losses["train_loss"]) == len(losses["val_loss"]) == 4
    assert losses["train_loss"][0]["value"] > losses["train_loss"][-1]["value"] > 0
    assert details["val_loss"] == losses["val_loss"][-1]["value"]
    assert details["status_logs"][-1]["message"] == "completed"
    entity = client.ok("GET", f"/v1/models/{job['output_model']}")
    assert entity["artifact"]["status"] == "upload_completed"
    files = client.hub.list_repo_files("flywheel/progress", repo_type="model", revision=job["id"])
    assert files == ["adapter.npz"]


def test_without_a_validation_file_a_tenth_is_held_out(client):
    client.upload("cz-novalidation", {"training/train.jsonl": travel_desk.jsonl(ROWS)})
    job = client.customize("cz-novalidation", output="flywheel/nv", epochs=1, batch_size=1)
    assert job["status_details"]["steps_per_epoch"] == 36
    assert job["status_details"]["val_loss"] is not None


def test_the_same_data_and_seed_give_the_same_adapter(client):
    jobs = [client.customize("cz", output=f"flywheel/same{number}", seed=7) for number in range(2)]
    contents = [
        client.get(f"/v1/hf/flywheel/same{number}/resolve/{job['id']}/adapter.npz").content
        for number, job in enumerate(jobs)
    ]
    assert contents[0] == contents[1]
    assert contents[0]


def test_an_adapter_is_served_only_beside_its_base(client):
    base = "meta/llama-3.2-3b-instruct"
    body = customization_body("cz", output="flywheel/beside") | {"config": f"{base}@v1.0.0+A100"}
    job = client.ok("POST", JOBS, json=body)
    model = client.until(f"{JOBS}/{job['id']}")["output_model"]
    request = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    assert model not in client.served()
    assert client.post("/nim/v1/chat/completions", json=request).status_code == 404
    client.deploy("beside-3b", base)
    client.until_served(model)
    assert client.post("/nim/v1/chat/completions", json=request).status_code == 200
    client.ok("DELETE", "/v1/deployment/model-deployments/flywheel/beside-3b")
    assert model not in client.served()


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ("cz-empty", "has no training file: upload training/"),
        ("cz-torn", "training/train.jsonl, row 4: not JSON"),
        ("cz-unanswered", "no usable row"),
    ],
)
def test_data_that_cannot_be_learnt_fails_the_job_with_the_reason(client, dataset, reason):
    job = client.customize(dataset, output=f"flywheel/{dataset}")
    assert job["status"] == "failed"
    assert reason in job["status_details"]["status_logs"][-1]["detail"]
    assert client.ok("GET", f"/v1/models/{job['output_model']}")["artifact"]["status"] == "created"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"config": "meta/llama-3.2-1b-instruct"}, 422, "@<version>"),
        ({"config": "meta/llama-9b@v1"}, 404, "meta/llama-3.2-1b-instruct@v1.0.0+A100"),
        ({"dataset": "flywheel/none"}, 404, "POST /v1/datasets"),
        ({"hyperparameters": {"finetuning_type": "all_weights"}}, 422, "it has sft/lora"),
        ({"hyperparameters": {"finetuning_type": "lora", "epochs": 0}}, 422, "epochs"),
        ({"hyperparameters": {"finetuning_type": "lora", "lora": {"adapter_dim": 12}}}, 422, "power of 2"),
    ],
)
def test_what_cannot_be_trained_is_refused(client, change, status, says):
    answer = client.post(JOBS, json=customization_body("cz") | change)
    assert answer.status_code == status
    assert says in answer.text


def test_a_cancelled_job_uploads_nothing_and_gives_its_gpus_back(client, behave):
    used = client.ok("GET", "/_local/state")["gpus"]["used"]
    behave(model_contains="flywheel/stuck", hold=True)
    job = client.ok("POST", JOBS, json=customization_body("cz", output="flywheel/stuck"))
    client.until(f"{JOBS}/{job['id']}", want=("running",))
    assert client.ok("GET", "/_local/state")["gpus"]["used"] == used + 1
    client.ok("POST", f"{JOBS}/{job['id']}/cancel")
    assert client.until(f"{JOBS}/{job['id']}")["status"] == "cancelled"
    assert client.ok("GET", "/_local/state")["gpus"]["used"] == used
    assert not client.hub.repo_exists("flywheel/stuck")
    assert client.ok("POST", f"{JOBS}/{job['id']}/cancel")["status"] == "cancelled"


def test_a_cancel_stops_a_fit_at_work(client):
    body = customization_body("cz", output="flywheel/long", epochs=1000)
    job = client.ok("POST", JOBS, json=body)
    client.until(f"{JOBS}/{job['id']}", want=("running",))
    client.ok("POST", f"{JOBS}/{job['id']}/cancel")
    ended = client.until(f"{JOBS}/{job['id']}")
    assert ended["status"] == "cancelled"
    assert ended["status_details"]["epochs_completed"] < 1000


def test_a_job_fails_with_the_reason_that_was_injected(client, behave):
    behave(model_contains="flywheel/unlucky", fail="CUDA out of memory")
    job = client.customize("cz", output="flywheel/unlucky")
    assert job["status"] == "failed"
    assert job["status_details"]["status_logs"][-1]["detail"] == "CUDA out of memory"
    logs = client.ok("GET", f"{JOBS}/{job['id']}/container-logs")
    assert "CUDA out of memory" in logs["entries"]["training"]["logs"]["customizer"]


def test_an_unknown_job_is_not_found(client):
    for method, path in (("GET", "cust-1"), ("GET", "cust-1/status"), ("POST", "cust-1/cancel")):
        assert client.request(method, f"{JOBS}/{path}").status_code == 404
