"""What Airflow learns from the entry point `apache_airflow_provider`: the connection type `nemo`."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description. Airflow calls this in every process, so it imports nothing."""
    return {
        "package-name": "airflow-model-flywheel",
        "name": "NVIDIA NeMo Microservices",
        "description": "Deploys, evaluates and customizes models with NVIDIA NeMo Microservices.",
        "connection-types": [
            {
                "connection-type": "nemo",
                "hook-class-name": "include.airflow_nemo.hook.NemoHook",
                "hook-name": "NVIDIA NeMo Microservices",
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {
                        "host": "NeMo URL",
                        "schema": "Scheme (http or https)",
                        "password": "Token",
                    },
                    "placeholders": {
                        "host": "http://nemo.example",
                        "port": "leave empty if the URL says it",
                        "password": "leave empty where no token is asked for",
                    },
                },
                "conn-fields": {
                    "data_store_url": _url_field("Data Store URL", "http://data-store.example"),
                    "nim_proxy_url": _url_field(
                        "NIM proxy URL", "http://nim.example: what stands before /v1/models"
                    ),
                    "namespace": {
                        "label": "Namespace",
                        "description": "Where datasets, deployments and models of the runs are kept.",
                        "schema": {"type": ["string", "null"], "default": "default"},
                    },
                },
            }
        ],
    }


def _url_field(label: str, description: str) -> dict[str, Any]:
    return {
        "label": label,
        "description": description,
        "schema": {"type": ["string", "null"], "default": None},
    }
