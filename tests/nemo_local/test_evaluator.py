"""Evaluation jobs: results and rows, errors, progress, cancel and delete."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import travel_desk
from flywheel_client import MODEL, evaluation_config

JOBS = "/v1/evaluation/jobs"
TURNS = travel_desk.turns(12, seed=9)
PRODUCTION = "local/shop-agent-large"


@pytest.fixture(scope="module", autouse=True)
def data(client):
    rows = [travel_desk.evaluation_row(turn) for turn in TURNS]
    broken = travel_desk.jsonl(rows[:2]) + b"not json\n[]\n" + travel_desk.jsonl([{"item_id": "x"}])
    client.upload(
        "ev",
        {
            "testing/eval.jsonl": travel_desk.jsonl(rows),
            "testing/broken.jsonl": broken,
            "testing/none.jsonl": b"\n",
        },
    )
    client.deploy("ev-1b")


@pytest.fixture
def behave(client):
    """Adds a behaviour for the test's duration."""
    yield lambda **kwargs: client.ok("POST", "/_local/behaviours", json={"kind": "evaluation"} | kwargs)
    client.ok("DELETE", "/_local/behaviours")


def body(config, model=MODEL, **extra):
    return {"namespace": "flywheel", "config": config, "target": {"type": "model", "model": model}} | extra


def string_check(check, template=None, **params):
    task = {
        "type": "chat-completion",
        "dataset": {"files_url": "hf://datasets/flywheel/ev/testing/eval.jsonl"},
        "params": {"template": template or {"messages": "{{ item.request.messages | tojson }}"}} | params,
        "metrics": {"text": {"type": "string-check", "params": {"check": check}}},
    }
    return {"type": "custom", "tasks": {"chat": task}}


def test_a_job_keeps_what_it_was_given(client):
    extra = {"project": "run-77", "custom_fields": {"nim": MODEL, "stage": "base_eval", "attempt": "1"}}
    job = client.ok("POST", JOBS, json=body(evaluation_config("ev"), **extra))
    assert job["id"].startswith("eval-")
    assert (job["status"], job["status_details"]["progress"]) == ("created", None)
    assert job["config"]["id"].startswith("eval-config-")
    assert job["target"]["model"] == MODEL
    query = {"filter[project]": "run-77", "filter[custom_fields][stage]": "base_eval"}
    found = client.ok("GET", JOBS, params=query)["data"]
    assert [(entry["id"], entry["custom_fields"]["attempt"]) for entry in found] == [(job["id"], "1")]
    assert client.until(f"{JOBS}/{job['id']}")["status"] == "completed"


def test_aggregates_are_those_of_the_rows(client):
    job = client.evaluate(evaluation_config("ev"), MODEL)
    results = client.ok("GET", f"{JOBS}/{job['id']}/results")
    assert (results["job"], results["id"]) == (job["id"], job["result"])
    assert client.ok("GET", f"/v1/evaluation/results/{job['result']}") == results
    rows = client.rows(job)
    scores = results["tasks"]["tool_calling"]["metrics"]["tool-calling-accuracy"]["scores"]
    for name, score in scores.items():
        total = sum(row["tool-calling-accuracy"][name] for row in rows)
        mean = total / len(TURNS)
        assert score["stats"] | {"count": len(TURNS), "sum": total, "mean": mean} == score["stats"]
        assert score["stats"]["variance"] == pytest.approx(mean * (1 - mean))
        assert score["value"] == score["stats"]["mean"]
    assert set(rows[0]) == {"id", "item", "output_text", "response", "tool-calling-accuracy"}
    assert rows[0]["item"]["tool_calls"] == [{"function": TURNS[0]["call"]}]


def test_the_answers_are_those_of_the_proxy(client):
    rows = client.rows(client.evaluate(evaluation_config("ev"), MODEL))
    for turn, row in zip(TURNS, rows, strict=True):
        request = {
            "model": MODEL,
            "messages": turn["messages"],
            "tools": travel_desk.TOOLS,
            "tool_choice": "auto",
        }
        answer = client.ok("POST", "/nim/v1/chat/completions", json=request)
        assert row["response"] == answer["choices"][0]["message"]


def test_the_order_of_rows_does_not_depend_on_parallelism(client):
    one = client.rows(client.evaluate(evaluation_config("ev", parallelism=1), MODEL))
    many = client.rows(client.evaluate(evaluation_config("ev", parallelism=7), MODEL))
    assert one == many


def test_a_broken_row_is_recorded_counts_and_scores_nothing(client):
    job = client.evaluate(evaluation_config("ev", file="testing/broken.jsonl"), MODEL)
    assert job["status"] == "completed"
    rows = client.rows(job)
    assert ["error" in row for row in rows] == [False, False, True, True, True]
    assert "JSON" in rows[2]["error"]
    assert "not a JSON object" in rows[3]["error"]
    assert rows[4]["item"] == {"item_id": "x"}
    assert all(set(row["tool-calling-accuracy"].values()) == {0.0} for row in rows[2:])
    results = client.ok("GET", f"{JOBS}/{job['id']}/results")
    scores = results["tasks"]["tool_calling"]["metrics"]["tool-calling-accuracy"]["scores"]
    assert scores["function_name_accuracy"]["stats"]["count"] == 5


def test_limits_take_the_first_rows_and_show_progress(client):
    job = client.evaluate(evaluation_config("ev", limit_samples=5), MODEL)
    assert (job["status_details"]["samples_processed"], job["status_details"]["progress"]) == (5, 100.0)
    config = evaluation_config("ev")
    config["tasks"]["tool_calling"]["dataset"]["limit"] = 3
    job = client.evaluate(config, MODEL)
    assert (job["status_details"]["samples_processed"], job["status_details"]["progress"]) == (3, None)


def test_string_checks_read_the_answer(client):
    config = string_check(["{{ sample.output_text | length > 0 }}", "equals", "True"])
    results = client.evaluate(config, PRODUCTION)
    scores = client.ok("GET", f"{JOBS}/{results['id']}/results")["tasks"]["chat"]["metrics"]["text"]["scores"]
    assert scores["string-check"]["value"] == 1.0


def test_a_stored_config_and_target_can_be_used(client):
    client.ok("POST", "/v1/evaluation/configs", json=evaluation_config("ev") | {"name": "stored"})
    target = {"type": "model", "model": MODEL, "name": "stored", "namespace": "flywheel"}
    client.ok("POST", "/v1/evaluation/targets", json=target)
    job = client.ok("POST", JOBS, json={"config": "flywheel/stored", "target": "flywheel/stored"})
    assert client.until(f"{JOBS}/{job['id']}")["status"] == "completed"
    missing = client.post(JOBS, json={"config": "flywheel/none", "target": "flywheel/stored"})
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "evaluation config flywheel/none not found",
    )


@pytest.mark.parametrize(
    ("file", "model", "reason"),
    [
        ("testing/eval.jsonl", "meta/llama-nobody", "`meta/llama-nobody` does not exist"),
        ("testing/nothing.jsonl", MODEL, "testing/nothing.jsonl not found"),
        ("testing/none.jsonl", MODEL, "has no rows"),
    ],
)
def test_a_job_that_cannot_be_done_fails_with_the_reason(client, file, model, reason):
    job = client.evaluate(evaluation_config("ev", file=file), model)
    assert job["status"] == "failed"
    assert reason in job["status_details"]["message"]
    for path in ("results", "download-results"):
        answer = client.get(f"{JOBS}/{job['id']}/{path}")
        assert answer.status_code == 404
        assert "it is failed" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"metrics": {"m": {"type": "bert"}}}, ["config", "tasks", "tool_calling", "metrics", "m", "type"]),
        ({"params": {}}, ["template"]),
        ({"params": {"template": {"prompt": "x"}}}, ["template", "messages"]),
        ({"type": "data"}, ["metrics", "tool-calling-accuracy", "type"]),
        ({"type": "completion"}, ["template", "prompt"]),
        ({"type": "simple"}, ["tool_calling"]),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(client, change, place):
    config = evaluation_config("ev")
    config["tasks"]["tool_calling"] |= change
    answer = client.post(JOBS, json=body(config))
    assert answer.status_code == 422
    assert any(error["loc"][-len(place) :] == place for error in answer.json()["detail"])


def test_a_held_job_runs_until_it_is_cancelled(client, behave):
    behave(hold=True)
    job = client.ok("POST", JOBS, json=body(evaluation_config("ev")))
    client.until(f"{JOBS}/{job['id']}", want=("running",))
    assert job["id"] in [entry["id"] for entry in client.ok("GET", "/_local/state")["lists"]["evaluation"]]
    client.ok("POST", f"{JOBS}/{job['id']}/cancel")
    ended = client.until(f"{JOBS}/{job['id']}")
    assert (ended["status"], ended["status_details"]["task_status"]) == (
        "cancelled",
        {"tool_calling": "cancelled"},
    )
    assert client.ok("GET", "/_local/state")["running_jobs"]["evaluation"] == 0


def test_a_job_fails_with_the_reason_that_was_injected(client, behave):
    behave(model_contains="1b", fail="the node was drained")
    job = client.evaluate(evaluation_config("ev"), MODEL)
    assert (job["status"], job["status_details"]["message"]) == ("failed", "the node was drained")


def test_a_deleted_job_is_gone_with_its_results(client, behave):
    job = client.evaluate(evaluation_config("ev"), MODEL)
    assert client.ok("DELETE", f"{JOBS}/{job['id']}")["deleted_at"]
    behave(hold=True)
    held = client.ok("POST", JOBS, json=body(evaluation_config("ev")))
    client.ok("DELETE", f"{JOBS}/{held['id']}")
    for path in (job["id"], f"{job['id']}/results", f"{job['id']}/download-results", held["id"]):
        assert client.get(f"{JOBS}/{path}").status_code == 404
    assert client.get(f"/v1/evaluation/results/{job['result']}").status_code == 404


class _Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that breaks on its second request."""

    asked = 0

    def do_POST(self):
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        good = self.headers["Authorization"] == "Bearer key-1" and self.path == "/v1/chat/completions"
        self.send_response(200 if good and type(self).asked != 2 else 500)
        self.end_headers()
        self.wfile.write(b'{"choices": [{"message": {"role": "assistant", "content": "yes"}}]}')

    def log_message(self, *_):
        pass


def test_a_model_elsewhere_is_asked_at_its_endpoint(client):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = {
        "url": f"http://127.0.0.1:{server.server_port}/v1",
        "model_id": "elsewhere",
        "api_key": "key-1",
    }
    config = string_check(["{{ sample.output_text }}", "equals", "yes"])
    try:
        job = client.evaluate(config, {"api_endpoint": endpoint})
    finally:
        server.shutdown()
    assert job["target"]["model"]["api_endpoint"]["api_key"] == "******"
    rows = client.rows(job)
    assert [row["text"]["string-check"] for row in rows] == [1.0, 0.0] + [1.0] * (len(TURNS) - 2)
    assert "500" in rows[1]["error"]
    assert "key-1" not in client.get(f"{JOBS}/{job['id']}").text
