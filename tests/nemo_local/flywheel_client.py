"""The calls of one flywheel turn against a server, as tests need them: over HTTP, waiting for ends."""

import io
import json
import time
import zipfile

import httpx
from huggingface_hub import HfApi

END = ("completed", "failed", "cancelled", "ready")
MODEL = "meta/llama-3.2-1b-instruct"


def deployment_body(name, model=MODEL, gpu=1, namespace="flywheel", **extra):
    image = {"image_name": f"nvcr.io/nim/{model}", "image_tag": "1.8.3", "gpu": gpu, "pvc_size": "25Gi"}
    return {
        "name": name,
        "namespace": namespace,
        "config": {"model": model, "nim_deployment": image},
        **extra,
    }


def evaluation_config(dataset, file="testing/eval.jsonl", **params):
    template = {
        "messages": "{{ item.request.messages | tojson }}",
        "tools": "{{ item.request.tools | tojson }}",
        "tool_choice": "{{ item.request.tool_choice | tojson }}",
    }
    metric = {"type": "tool-calling", "params": {"tool_calls_ground_truth": "{{ item.tool_calls | tojson }}"}}
    task = {
        "type": "chat-completion",
        "dataset": {"files_url": f"hf://datasets/flywheel/{dataset}/{file}"},
        "params": {"parallelism": 4, "template": template, **params},
        "metrics": {"tool-calling-accuracy": metric},
    }
    return {"type": "custom", "namespace": "flywheel", "tasks": {"tool_calling": task}}


def customization_body(dataset, output="flywheel/toy", epochs=3, **hyperparameters):
    return {
        "namespace": "flywheel",
        "project": "run-1",
        "config": f"{MODEL}@v1.0.0+A100",
        "dataset": {"namespace": "flywheel", "name": dataset},
        "hyperparameters": {
            "finetuning_type": "lora",
            "training_type": "sft",
            "epochs": epochs,
            "batch_size": 16,
            "learning_rate": 1e-4,
            "lora": {"adapter_dim": 32},
            **hyperparameters,
        },
        "output_model": output,
    }


class Client(httpx.Client):
    """An httpx client of one server, with the longer steps of a turn."""

    def __init__(self, url):
        super().__init__(base_url=url, timeout=20)
        self.url = url
        self.hub = HfApi(endpoint=f"{url}/v1/hf", token=None)

    def ok(self, method, path, **kwargs):
        answer = self.request(method, path, **kwargs)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def upload(self, dataset, files):
        """Creates the dataset with these files, in both stores."""
        self.post("/v1/datastore/namespaces", data={"namespace": "flywheel"})
        self.hub.create_repo(f"flywheel/{dataset}", repo_type="dataset", exist_ok=True)
        for path, content in files.items():
            self.hub.upload_file(
                path_or_fileobj=content,
                path_in_repo=path,
                repo_id=f"flywheel/{dataset}",
                repo_type="dataset",
            )
        body = {
            "name": dataset,
            "namespace": "flywheel",
            "project": "run-1",
            "files_url": f"hf://datasets/flywheel/{dataset}",
        }
        self.post("/v1/datasets", json=body)

    def until(self, get, want=END, seconds=15):
        """Polls `get` until its status is wanted, and returns the last answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.ok("GET", get)
            status = answer.get("status") or answer["status_details"]["status"]
            if status in want:
                return answer
            time.sleep(0.03)
        raise AssertionError(f"{get} is {status} after {seconds} s, wanted {want}: {answer}")

    def deploy(self, name, model=MODEL, **extra):
        self.ok("POST", "/v1/deployment/model-deployments", json=deployment_body(name, model, **extra))
        return self.until(f"/v1/deployment/model-deployments/flywheel/{name}", want=("ready",))

    def customize(self, dataset, **kwargs):
        job = self.ok("POST", "/v1/customization/jobs", json=customization_body(dataset, **kwargs))
        return self.until(f"/v1/customization/jobs/{job['id']}")

    def evaluate(self, config, model):
        body = {"namespace": "flywheel", "config": config, "target": {"type": "model", "model": model}}
        job = self.ok("POST", "/v1/evaluation/jobs", json=body)
        return self.until(f"/v1/evaluation/jobs/{job['id']}")

    def scores(self, job):
        results = self.ok("GET", f"/v1/evaluation/jobs/{job['id']}/results")
        scores = results["tasks"]["tool_calling"]["metrics"]["tool-calling-accuracy"]["scores"]
        return {name: score["value"] for name, score in scores.items()}

    def rows(self, job):
        answer = self.get(f"/v1/evaluation/jobs/{job['id']}/download-results")
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return json.loads(archive.read("results.json"))

    def served(self):
        return [model["id"] for model in self.ok("GET", "/nim/v1/models")["data"]]

    def until_served(self, model, seconds=5):
        deadline = time.monotonic() + seconds
        while model not in self.served():
            assert time.monotonic() < deadline, f"{model} is not served: {self.served()}"
            time.sleep(0.03)
