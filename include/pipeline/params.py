"""The form of a run: Airflow `Param`s made from the model that validates the conf."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from include.flywheel.config.conf import RunConf
from include.flywheel.config.workload import Workload
from include.flywheel.datasets.split import SplitConfig

# Every task builds its DAG; the schemas are the same each time, and forked workers share them.
_CONF_FIELDS: dict[str, Any] = RunConf.model_json_schema()["properties"]
_SPLIT_FIELDS: dict[str, Any] = SplitConfig.model_json_schema()["properties"]
_TITLES = {
    "client_id": "Client",
    "workload_id": "Workload",
    "job_type": "Kind of job",
    "config_name": "Profile",
    "data_split_config": "Split",
    "nims": "NIMs",
    "min_quality": "Lowest quality accepted",
}


def conf_params(workload: Workload | None) -> dict[str, Param]:
    """`Param`s by field of `RunConf`. A workload's own DAG accepts no other client and workload."""
    params = {}
    for name, schema in _CONF_FIELDS.items():
        flat = _flat(schema)
        if name == "data_split_config":
            flat |= _split_schema()
        default = flat.pop("default", None)
        if workload is not None and name in {"client_id", "workload_id"}:
            default = getattr(workload, name)
            flat["enum"] = [default]
        flat["title"] = _TITLES[name]
        params[name] = Param(default, **flat) if default is not None else _empty(flat)
    return params


def _empty(schema: dict[str, Any]) -> Param:
    """A field without default: required where null is no value of it."""
    if "null" in schema.get("type", []):
        return Param(None, **schema)
    return Param(**schema)


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """`anyOf [X, null]` as one schema whose type is a list: what Airflow's forms are drawn from."""
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "title"}}
    options = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if not options:
        return kept
    return {**options[0], **kept, "type": [options[0]["type"], "null"]}


def _split_schema() -> dict[str, Any]:
    """The keys of the split with their types and limits. All are optional; the profile has the rest."""
    keys = {
        name: {key: value for key, value in _flat(schema).items() if key != "default"}
        for name, schema in _SPLIT_FIELDS.items()
    }
    return {"properties": keys, "additionalProperties": False}
