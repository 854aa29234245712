from __future__ import annotations

import json
from importlib import resources
from importlib.metadata import entry_points

import jsonschema

from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.provider_info import get_provider_info


def test_the_description_fits_airflows_schema() -> None:
    schema = resources.files("airflow").joinpath("provider_info.schema.json").read_text()
    jsonschema.validate(get_provider_info(), json.loads(schema))


def test_the_connection_type_leads_to_the_hook() -> None:
    (connection,) = get_provider_info()["connection-types"]
    assert connection["connection-type"] == NemoHook.conn_type
    assert connection["hook-class-name"] == f"{NemoHook.__module__}.{NemoHook.__qualname__}"
    assert set(connection["conn-fields"]) == {"data_store_url", "nim_proxy_url", "namespace"}


def test_the_installed_entry_point_is_this_one() -> None:
    ours = [
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.value == "include.airflow_nemo.provider_info:get_provider_info"
    ]
    assert ours
    assert ours[0].load() is get_provider_info
