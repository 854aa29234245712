"""The five endpoints of the contract are a subset of our OpenAPI: paths, methods, statuses, fields, types.

The tables are contracts/jobs_api.md, written down here: `?` may be null or absent, `[]` is a list.
"""

from __future__ import annotations

from typing import Any

import pytest

from include.web.app import application, openapi

ENDPOINTS = {
    ("post", "/api/jobs"): ("JobCreated", {200, 404, 422}),
    ("get", "/api/jobs"): ("JobList", {200}),
    ("get", "/api/jobs/{job_id}"): ("JobDetail", {200, 400, 404}),
    ("delete", "/api/jobs/{job_id}"): ("JobMessage", {200, 400, 404}),
    ("post", "/api/jobs/{job_id}/cancel"): ("JobMessage", {200, 400, 404}),
}
CREATE = {
    "workload_id": "string",
    "client_id": "string",
    "job_type": "string",
    "config_name": "string?",
    "data_split_config": "object?",
}
SPLIT = {
    "eval_size": "integer",
    "val_ratio": "number",
    "min_total_records": "integer",
    "random_seed": "integer?",
    "limit": "integer?",
    "parse_function_arguments": "boolean",
}
LIST_ITEM = {
    "id": "string",
    "workload_id": "string",
    "client_id": "string",
    "status": "string",
    "started_at": "string",
    "finished_at": "string?",
    "datasets": "[]",
    "error": "string?",
}
DATASET = {"name": "string", "num_records": "integer", "nmp_uri": "string?"}
JUDGE = {"model_name": "string", "type": "string", "deployment_status": "string", "error": "string?"}
DETAIL = LIST_ITEM | {"num_records": "integer", "llm_judge": "object?", "nims": "[]"}
NIM = {
    "model_name": "string",
    "status": "string",
    "deployment_status": "string",
    "runtime_seconds": "number",
    "evaluations": "[]",
    "customizations": "[]",
    "error": "string?",
}
EVALUATION = {
    "eval_type": "string",
    "scores": "object",
    "started_at": "string",
    "finished_at": "string?",
    "runtime_seconds": "number",
    "progress": "number",
    "nmp_uri": "string?",
    "mlflow_uri": "string?",
    "error": "string?",
}
CUSTOMIZATION = {
    "started_at": "string",
    "finished_at": "string?",
    "runtime_seconds": "number",
    "progress": "number",
    "epochs_completed": "integer",
    "steps_completed": "integer",
    "nmp_uri": "string?",
    "customized_model": "string?",
    "error": "string?",
}
WORDS = {
    "run": ["pending", "running", "completed", "failed", "cancelled"],
    "nim": ["pending", "deploying-nim", "running-evals", "completed", "failed", "cancelled"],
    "deployment": ["created", "pending", "running", "ready", "failed", "cancelled", "completed", "unknown"],
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi(application())


class Schemas:
    """Schemas of the document, with references followed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.all = document["components"]["schemas"]

    def of(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema itself, or of `X or null` that of X."""
        if "$ref" in schema:
            return self.of(self.all[schema["$ref"].rsplit("/", 1)[-1]])
        if "allOf" in schema:
            return self.of(schema["allOf"][0])
        if "anyOf" in schema:
            return self.of(next(one for one in schema["anyOf"] if one.get("type") != "null"))
        return schema

    def property(self, model: dict[str, Any], name: str) -> dict[str, Any]:
        return self.of(model["properties"][name])

    def items(self, model: dict[str, Any], name: str) -> dict[str, Any]:
        return self.of(self.property(model, name)["items"])

    def words(self, model: dict[str, Any], name: str) -> list[str]:
        found: list[str] = self.property(model, name)["enum"]
        return found

    def type(self, model: dict[str, Any], name: str) -> str:
        """The type as the tables write it."""
        schema = model["properties"][name]
        plain = self.of(schema)
        null = any(one.get("type") == "null" for one in schema.get("anyOf", []))
        kind = "[]" if plain.get("type") == "array" else plain.get("type", "string")
        return f"{kind}{'?' if null else ''}"

    def fits(self, model: dict[str, Any], table: dict[str, str]) -> None:
        """Every field of the table is there, with its type; a number may be whole."""
        assert set(table) <= set(model["properties"])
        for name, wanted in table.items():
            found = self.type(model, name)
            assert found == wanted or (wanted == "number" and found == "integer"), name


def test_paths_methods_and_statuses(document: dict[str, Any]) -> None:
    for (method, path), (answer, statuses) in ENDPOINTS.items():
        responses = document["paths"][path][method]["responses"]
        assert {str(status) for status in statuses} <= set(responses), (method, path)
        schema = responses["200"]["content"]["application/json"]["schema"]
        assert schema["$ref"].endswith(f"/{answer}")


def test_what_is_sent(document: dict[str, Any]) -> None:
    schemas = Schemas(document)
    body = schemas.all["JobCreate"]
    assert set(body["required"]) == {"workload_id", "client_id"}
    schemas.fits(body, CREATE)
    assert schemas.words(body, "job_type") == ["llm_job", "embedding_job"]
    assert schemas.property(body, "job_type")["default"] == "llm_job"
    split = schemas.property(body, "data_split_config")
    for name, wanted in SPLIT.items():
        # A key that is not given keeps the profile's value, so null stands for that too.
        assert schemas.type(split, name).removesuffix("?") == wanted.removesuffix("?"), name


def test_what_is_answered(document: dict[str, Any]) -> None:
    schemas = Schemas(document)
    created, message = schemas.all["JobCreated"], schemas.all["JobMessage"]
    schemas.fits(created, {"id": "string", "status": "string", "message": "string"})
    schemas.fits(message, {"id": "string", "message": "string"})
    item = schemas.items(schemas.all["JobList"], "jobs")
    schemas.fits(item, LIST_ITEM)
    assert schemas.words(item, "status") == WORDS["run"]
    detail = schemas.all["JobDetail"]
    schemas.fits(detail, DETAIL)
    schemas.fits(schemas.items(detail, "datasets"), DATASET)
    schemas.fits(schemas.property(detail, "llm_judge"), JUDGE)
    nim = schemas.items(detail, "nims")
    schemas.fits(nim, NIM)
    assert schemas.words(nim, "status") == WORDS["nim"]
    assert set(schemas.words(nim, "deployment_status")) == set(WORDS["deployment"])
    evaluation = schemas.items(nim, "evaluations")
    schemas.fits(evaluation, EVALUATION)
    assert schemas.words(evaluation, "eval_type") == ["base-eval", "icl-eval", "customized-eval"]
    schemas.fits(schemas.items(nim, "customizations"), CUSTOMIZATION)


FOR_ANYBODY = {"get /v1/health"}


def test_every_endpoint_is_documented_and_protected(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            if where in FOR_ANYBODY:
                continue
            assert operation["security"], where
            assert {"401", "503"} <= set(operation["responses"]), where
            for status, answer in operation["responses"].items():
                assert "content" in answer, f"{where} {status}"
