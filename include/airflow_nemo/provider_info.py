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
                "conn-fields": _fields(),
            }
        ],
    }


def _fields() -> dict[str, Any]:
    """What the form asks for beyond Airflow's own fields, and keeps in the extra."""
    return {
        "data_store_url": _text_field("Data Store URL", "http://data-store.example"),
        "nim_proxy_url": _text_field("NIM proxy URL", "http://nim.example: what stands before /v1/models"),
        "namespace": {
            "label": "Namespace",
            "description": "Where datasets, deployments and models of the runs are kept.",
            "schema": {"type": ["string", "null"], "default": "default"},
        },
        "max_requests_per_second": {
            "label": "Requests per second",
            "description": "At most, from all triggers of one triggerer to one host.",
            "schema": {"type": ["number", "null"], "default": 50, "minimum": 0.01},
        },
        "ca_file": _text_field("CA file", "PEM file of the authorities to trust, for https"),
        "client_cert_file": _text_field(
            "Client certificate", "PEM file to show to a server that asks for one"
        ),
        "client_key_file": _text_field(
            "Client key", "PEM file of its key, where the certificate's file lacks it"
        ),
    }


def _text_field(label: str, description: str) -> dict[str, Any]:
    return {
        "label": label,
        "description": description,
        "schema": {"type": ["string", "null"], "default": None},
    }
