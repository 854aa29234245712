"""Task types, judges and targets, driven by the official SDK."""

import io
import json
import math
import time
import zipfile

import nemo_microservices
import pytest
from nemo_microservices import NeMoMicroservices
from openai_endpoint import answering, chat, completion

QA = [
    {"question": "Capital of France?", "answer": "Paris", "reply": "It is Paris.", "n": 1},
    {"question": "Capital of Peru?", "answer": "Lima", "reply": "Lima", "n": 2},
    {"question": "Capital of Egypt?", "answer": "Cairo", "reply": "no idea", "n": 3},
]
MODEL = "local/shop-agent-large"
END = ("completed", "failed", "cancelled")


@pytest.fixture(scope="module")
def sdk(client):
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in QA)
    files = {
        "qa.jsonl": lines,
        "qa.json": json.dumps(QA, indent=1).encode(),
        "qa.csv": b'question,answer,reply,n\n"Capital of France?",Paris,It is Paris.,1\n'
        b'Capital of Peru?,Lima,Lima,2\nCapital of Egypt?,Cairo,"no idea",3\n',
        "torn.json": json.dumps(QA).encode()[:-9],
    }
    client.upload("tasks", files)
    with NeMoMicroservices(base_url=client.url, inference_base_url=f"{client.url}/nim") as made:
        yield made


def dataset(file="qa.jsonl"):
    return {"files_url": f"hf://datasets/flywheel/tasks/{file}"}


def data_task(metrics, file="qa.jsonl"):
    return {"type": "custom", "tasks": {"t": {"type": "data", "dataset": dataset(file), "metrics": metrics}}}


def asking_task(kind, template, metrics, **params):
    task = {"type": kind, "dataset": dataset(), "params": {"template": template} | params, "metrics": metrics}
    return {"type": "custom", "tasks": {"t": task}}


def model_at(url, **more):
    return {"type": "model", "model": {"api_endpoint": {"url": url, "model_id": "elsewhere"} | more}}


ROWS = {"type": "rows", "rows": QA}
CONTAINS = {"type": "string-check", "params": {"check": ["{{ reply }}", "contains", "{{ item.answer }}"]}}


def ended(sdk, config, target, **extra):
    job = sdk.evaluation.jobs.create(namespace="flywheel", config=config, target=target, **extra)
    deadline = time.monotonic() + 10
    while (job := sdk.evaluation.jobs.retrieve(job.id)).status not in END:
        assert time.monotonic() < deadline, job.status_details
        time.sleep(0.02)
    return job


def rows_of(sdk, job):
    with zipfile.ZipFile(io.BytesIO(sdk.evaluation.jobs.download_results(job.id).read())) as archive:
        assert archive.namelist() == ["results.json"]
        return json.loads(archive.read("results.json"))


def score(sdk, job, metric, name):
    return sdk.evaluation.jobs.results(job.id).tasks["t"].metrics[metric].scores[name]


@pytest.mark.parametrize("file", ["qa.jsonl", "qa.json", "qa.csv"])
def test_data_of_every_format_is_scored_without_a_model(sdk, file):
    metrics = {
        "has": CONTAINS,
        "em": {"type": "em", "params": {"ground_truth": "{{ answer }}", "candidate": "{{ reply }}"}},
        "f1": {"type": "f1", "params": {"ground_truth": "{{ answer }}", "candidate": "{{ reply }}"}},
        "rouge": {"type": "rouge", "params": {"ground_truth": "{{ answer }}", "candidate": "{{ reply }}"}},
        "bleu": {"type": "bleu", "params": {"references": ["{{ answer }}"], "candidate": "{{ reply }}"}},
        "n": {"type": "number-check", "params": {"check": ["{{ item.n }}", "<", "3"]}},
    }
    job = ended(sdk, data_task(metrics, file), {"type": "dataset", "dataset": dataset(file)})
    assert job.status == "completed", job.status_details
    assert score(sdk, job, "has", "string-check").value == pytest.approx(2 / 3)
    assert score(sdk, job, "em", "em_score").value == pytest.approx(1 / 3)
    assert score(sdk, job, "f1", "f1_score").value == pytest.approx((1 / 2 + 1) / 3)
    assert score(sdk, job, "rouge", "rouge_1_score").value == pytest.approx((1 / 2 + 1) / 3)
    assert score(sdk, job, "n", "number-check").value == pytest.approx(2 / 3)
    bleu = sdk.evaluation.jobs.results(job.id).tasks["t"].metrics["bleu"].scores
    assert set(bleu) == {"sentence", "corpus"}
    assert [row["has"]["string-check"] for row in rows_of(sdk, job)] == [1.0, 1.0, 0.0]


def test_statistics_are_those_of_the_rows(sdk):
    job = ended(sdk, data_task({"has": CONTAINS}), ROWS)
    stats = score(sdk, job, "has", "string-check").stats
    assert (stats.count, stats.nan_count, stats.sum, stats.sum_squared) == (3, 0, 2.0, 2.0)
    assert (stats.min, stats.max, stats.mean) == (0.0, 1.0, pytest.approx(2 / 3))
    assert stats.variance == pytest.approx(2 / 9)
    assert stats.stddev == pytest.approx(math.sqrt(2 / 9))
    assert stats.stderr == pytest.approx(math.sqrt(2 / 9 / 3))


def test_a_torn_array_fails_the_job_by_name(sdk):
    job = ended(
        sdk, data_task({"has": CONTAINS}, "torn.json"), {"type": "dataset", "dataset": dataset("torn.json")}
    )
    assert job.status == "failed"
    assert "torn.json is no JSON array" in job.status_details.message


def test_completion_sends_the_prompt(sdk):
    asked = []

    def answer(path, body, _):
        asked.append((path, body))
        return 200, completion("Lima")

    check = {
        "ok": {"type": "string-check", "params": {"check": ["{{sample.output_text}}", "equals", "Lima"]}}
    }
    config = asking_task("completion", {"prompt": "Q: {{ item.question }} A:"}, check) | {
        "params": {"temperature": 0.5, "max_tokens": 7}
    }
    with answering(answer) as url:
        job = ended(sdk, config, model_at(url))
    assert score(sdk, job, "ok", "string-check").value == 1.0
    sampling = {"temperature": 0.5, "max_tokens": 7, "model": "elsewhere"}
    assert asked[0] == ("/v1/completions", {"prompt": "Q: Capital of France? A:"} | sampling)
    served = ended(sdk, config, {"type": "model", "model": MODEL})
    prompt = {"model": MODEL, "prompt": "Q: Capital of France? A:", "temperature": 0.5, "max_tokens": 7}
    alone = sdk.completions.create(**prompt).choices[0].text
    assert rows_of(sdk, served)[0]["response"] == {"content": alone}
    assert alone


def judge(url, parser, kind="int"):
    model = {"api_endpoint": {"url": url, "model_id": "judge", "api_key": "key-7"}}
    messages = [{"role": "user", "content": "Grade {{ reply }} against {{ answer }}"}]
    scores = {"grade": {"type": kind, "parser": parser}}
    return {
        "type": "llm-judge",
        "params": {"model": model, "template": {"messages": messages}, "scores": scores},
    }


@pytest.mark.parametrize(
    ("kind", "parser", "text", "grade"),
    [
        ("int", {"type": "regex", "pattern": r"grade: (\d+)"}, "grade: 10", 10.0),
        ("int", {"type": "regex", "pattern": r"(\d)"}, "10", 1.0),
        ("float", {"type": "regex", "pattern": r"\d\.\d"}, "about 3.5", 3.5),
        ("bool", {"type": "regex", "pattern": "(?i)yes|no"}, "I say Yes", 1.0),
        ("int", {"type": "json"}, '```json\n{"grade": 4}\n```', 4.0),
        ("bool", {"type": "json", "json_path": "verdict.ok"}, '{"verdict": {"ok": false}}', 0.0),
    ],
)
def test_a_judge_grades(sdk, kind, parser, text, grade):
    with answering(lambda *_: (200, chat(text))) as url:
        job = ended(sdk, data_task({"q": judge(url, parser, kind)}), ROWS)
    assert score(sdk, job, "q", "grade").value == grade
    assert "key-7" not in job.to_json()


def test_a_judge_that_fails_or_cannot_be_read_is_an_error_of_the_item(sdk):
    def answer(_path, body, headers):
        assert headers["Authorization"] == "Bearer key-7"
        content = body["messages"][0]["content"]
        if "Lima" in content:
            return 500, b"broken"
        return 200, chat("grade: 3" if "Paris" in content else "cannot say")

    metrics = {"has": CONTAINS}
    with answering(answer) as url:
        metrics["q"] = judge(url, {"type": "regex", "pattern": r"grade: (\d)"})
        job = ended(sdk, data_task(metrics), ROWS)
    grade = score(sdk, job, "q", "grade")
    assert (grade.value, grade.stats.count, grade.stats.nan_count) == (3.0, 1, 2)
    assert sdk.evaluation.jobs.results(job.id).tasks["t"].data == {"rows": 3, "errors": 2}
    rows = rows_of(sdk, job)
    assert [row["q"]["grade"] for row in rows] == [3.0, None, None]
    assert "500" in rows[1]["error"]
    assert "'cannot say' does not match" in rows[2]["error"]
    # What else was measured on these rows stands.
    assert [row["has"]["string-check"] for row in rows] == [1.0, 1.0, 0.0]
    assert score(sdk, job, "has", "string-check").stats.count == 3


def test_all_grades_missing_is_no_number(sdk):
    with answering(lambda *_: (200, b"<html>")) as url:
        job = ended(sdk, data_task({"q": judge(url, {"type": "json"})}), ROWS)
    assert job.status == "completed"
    assert score(sdk, job, "q", "grade").value is None


def test_a_judge_can_be_a_served_model(sdk, client):
    metric = judge("", {"type": "regex", "pattern": "(?s).+"}, "bool")
    metric["params"]["model"] = MODEL
    job = ended(sdk, data_task({"q": metric}), ROWS)
    assert sdk.evaluation.jobs.results(job.id).tasks["t"].data["errors"] == 3
    assert "is no bool" in rows_of(sdk, job)[0]["error"]
    metric["params"]["model"] = "meta/nobody"
    job = ended(sdk, data_task({"q": metric}), ROWS)
    assert (job.status, "`meta/nobody` does not exist" in job.status_details.message) == ("failed", True)


def test_a_request_is_repeated_as_often_as_was_said(sdk):
    asked = []

    def answer(*_):
        asked.append(1)
        return (503, b"") if len(asked) % 2 else (200, chat("Lima"))

    check = {
        "ok": {"type": "string-check", "params": {"check": ["{{sample.output_text}}", "equals", "Lima"]}}
    }
    template = {"messages": [{"role": "user", "content": "{{ item.question }}"}]}
    with answering(answer) as url:
        job = ended(sdk, asking_task("chat-completion", template, check, max_retries=1), model_at(url))
    assert (score(sdk, job, "ok", "string-check").value, len(asked)) == (1.0, 6)


def test_live_answers_at_once_and_stores_nothing(sdk):
    before = len(list(sdk.evaluation.jobs.list()))
    live = sdk.evaluation.live(config=data_task({"has": CONTAINS}), target=ROWS)
    assert live.status == "completed"
    assert live.result.tasks["t"].metrics["has"].scores["string-check"].value == pytest.approx(2 / 3)
    assert live.status_details.task_status == {"t": "completed"}
    assert len(list(sdk.evaluation.jobs.list())) == before
    torn = sdk.evaluation.live(
        config=data_task({"has": CONTAINS}), target={"type": "dataset", "dataset": dataset("torn.json")}
    )
    assert (torn.status, "no JSON array" in torn.status_details.message) == ("failed", True)
    with pytest.raises(nemo_microservices.UnprocessableEntityError, match="rows or dataset"):
        sdk.evaluation.live(config=data_task({"has": CONTAINS}), target={"type": "model", "model": MODEL})


@pytest.mark.parametrize(
    ("config", "target", "says"),
    [
        (asking_task("completion", {"prompt": "x"}, {"m": CONTAINS}), ROWS, "needs a target of type model"),
        (data_task({"m": {"type": "f1", "params": {"ground_truth": "x"}}}), ROWS, "candidate"),
        (data_task({"m": CONTAINS}), {"type": "rows"}, "needs `rows`"),
        (data_task({"m": CONTAINS}), {"type": "rag", "rag": {}}, "stand-in does not have RAG"),
        (
            data_task({"m": judge("http://x", {"type": "regex", "pattern": "("})}),
            ROWS,
            "no regular expression",
        ),
        (data_task({"m": CONTAINS}) | {"type": "retriever"}, ROWS, "has no data tasks"),
        ({"type": "bfclv3_ast"}, ROWS, "but custom and retriever"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(sdk, config, target, says):
    with pytest.raises(nemo_microservices.UnprocessableEntityError) as caught:
        sdk.evaluation.jobs.create(config=config, target=target)
    assert says in str(caught.value)


def test_jobs_are_listed_by_target_status_and_page(sdk):
    sdk.evaluation.targets.create(name="listed", namespace="flywheel", **ROWS)
    sdk.evaluation.configs.create(name="listed", namespace="flywheel", **data_task({"m": CONTAINS}))
    jobs = [ended(sdk, "flywheel/listed", "flywheel/listed", project="p9").id for _ in range(3)]
    for key in ("target", "config"):
        found = list(sdk.evaluation.jobs.list(filter={key: "flywheel/listed"}, page_size=2))
        assert [job.id for job in found] == jobs
    assert list(sdk.evaluation.jobs.list(filter={"target": "flywheel/none"})) == []
    page = sdk.evaluation.jobs.list(filter={"project": "p9", "status": "completed"}, page=2, page_size=2)
    assert [job.id for job in page.data] == jobs[2:]
    with pytest.raises(nemo_microservices.NotFoundError, match="evaluation target flywheel/none not found"):
        sdk.evaluation.jobs.create(config="flywheel/listed", target="flywheel/none")
    with pytest.raises(nemo_microservices.NotFoundError):
        sdk.evaluation.jobs.retrieve("eval-none")


def test_logs_say_what_happened(sdk, client):
    rows = {"type": "rows", "rows": [{"reply": "a", "answer": "a"}, {"reply": "b"}] * 120}
    failing = {
        "type": "string-check",
        "params": {"check": ["{{ reply }}", "equals", "{{ answer | nosuch }}"]},
    }
    job = ended(sdk, data_task({"m": failing}), rows)
    answer = client.get(f"/v1/evaluation/jobs/{job.id}/logs")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        lines = archive.read("evaluation.log").decode().splitlines()
    assert any("task t (data) begins" in line for line in lines)
    assert sum(" row " in line for line in lines) == 100
    assert any("140 more rows with errors" in line for line in lines)
    assert client.get("/v1/evaluation/jobs/eval-none/logs").status_code == 404
