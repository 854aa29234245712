from __future__ import annotations

import json
from importlib import resources
from importlib.metadata import entry_points
from typing import Any

import jsonschema
from airflow.providers_manager import ProvidersManager

from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.provider_info import get_provider_info
from include.airflow_nemo.settings import DEFAULT_MAX_REQUESTS_PER_SECOND, EXTRA_FIELDS


def test_the_description_fits_airflows_schema() -> None:
    schema = resources.files("airflow").joinpath("provider_info.schema.json").read_text()
    jsonschema.validate(get_provider_info(), json.loads(schema))


def test_the_connection_type_leads_to_the_hook() -> None:
    (connection,) = get_provider_info()["connection-types"]
    assert connection["connection-type"] == NemoHook.conn_type
    assert connection["hook-class-name"] == f"{NemoHook.__module__}.{NemoHook.__qualname__}"
    assert set(connection["conn-fields"]) == set(EXTRA_FIELDS)


def test_the_installed_entry_point_is_this_one() -> None:
    ours = [
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.value == "include.airflow_nemo.provider_info:get_provider_info"
    ]
    assert ours
    assert ours[0].load() is get_provider_info


def test_airflow_reads_the_form_from_the_description() -> None:
    manager = ProvidersManager()
    form = {
        name.removeprefix("extra__nemo__"): widget
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith("extra__nemo__")
    }
    assert set(form) == set(EXTRA_FIELDS)
    rate: Any = form["max_requests_per_second"].field
    assert rate["value"] == DEFAULT_MAX_REQUESTS_PER_SECOND
    behaviour = manager.field_behaviours["nemo"]
    assert behaviour["relabeling"]["password"] == "Token"
    assert behaviour["hidden_fields"] == ["login"]
