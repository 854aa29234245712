"""The form of a run: Airflow `Param`s made from the model that validates the conf."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param
from pydantic import BaseModel

from include.flywheel.config.conf import RunConf
from include.flywheel.config.judge import JudgeConfig
from include.flywheel.config.profile import Training
from include.flywheel.config.workload import Workload
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.split import SplitConfig

# Every task builds its DAG; the schemas are the same each time, and forked workers share them.
_CONF_FIELDS: dict[str, Any] = RunConf.model_json_schema()["properties"]
_PARTIAL: dict[str, type[BaseModel]] = {
    "data_split_config": SplitConfig,
    "icl": IclConfig,
    "training": Training,
    "judge": JudgeConfig,
}
_TITLES = {
    "client_id": "Client",
    "workload_id": "Workload",
    "job_type": "Kind of job",
    "config_name": "Profile",
    "data_split_config": "Split",
    "icl": "Examples",
    "training": "Training",
    "judge": "Judge",
    "nims": "NIMs",
    "min_quality": "Lowest quality accepted",
}


def conf_params(workload: Workload | None) -> dict[str, Param]:
    """`Param`s by field of `RunConf`. A workload's own DAG accepts no other client and workload."""
    params = {}
    for name, schema in _CONF_FIELDS.items():
        flat = _flat(schema)
        flat |= _PARTIAL_SCHEMAS.get(name, {})
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
    flat = {**options[0], **kept, "type": [options[0]["type"], "null"]}
    if "enum" in flat:
        flat["enum"] = [*flat["enum"], None]
    return flat


def _partial(schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    """The keys of an object with their types and limits. All are optional; the profile has the rest."""
    keys = {}
    for name, one in schema["properties"].items():
        flat = _flat(_referred(one, defined))
        if "properties" in flat:
            flat |= _partial(flat, defined)
        keys[name] = {key: value for key, value in flat.items() if key not in {"default", "required"}}
    return {"properties": keys, "additionalProperties": False}


def _referred(schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    """The schema with what it refers to in the place of the reference, in its options too."""
    own = {key: value for key, value in schema.items() if key != "$ref"}
    if "anyOf" in own:
        own["anyOf"] = [_referred(one, defined) for one in own["anyOf"]]
    return defined[schema["$ref"].rpartition("/")[2]] | own if "$ref" in schema else own


def _partial_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    return _partial(schema, schema.get("$defs", {}))


_PARTIAL_SCHEMAS = {name: _partial_of(model) for name, model in _PARTIAL.items()}
# A run may do without its profile's judge.
_PARTIAL_SCHEMAS["judge"]["properties"]["type"]["enum"].append("none")
