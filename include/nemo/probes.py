"""One cheap reading call per service, to find out whether it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.nemo import inference
from include.nemo.call import Call, path
from include.nemo.listing import rows
from include.nemo.urls import Service

_COLLECTIONS = {
    Service.ENTITY_STORE: "/v1/datasets",
    Service.DEPLOYMENT: "/v1/deployment/model-deployments",
    Service.CUSTOMIZER: "/v1/customization/targets",
    Service.EVALUATOR: "/v1/evaluation/jobs",
}


def probe(service: Service, namespace: str) -> Call[str]:
    """The call whose answer, in a few words, shows that `service` works.

    The Data Store is asked for `namespace`; it answers NotFound where nobody created it yet.
    """
    if service is Service.NIM_PROXY:
        models = inference.list_models()
        return _reading(service, models.path, lambda body: f"serves {len(models.parse(body))} models")
    if service is Service.DATA_STORE:
        where = path("v1", "datastore", "namespaces", namespace)
        return _reading(service, where, lambda _: f"has namespace {namespace}")
    return _reading(
        service, _COLLECTIONS[service], lambda body: "answers" + ("" if rows(body) else ", empty")
    )


def _reading(service: Service, where: str, parse: Callable[[Any], str]) -> Call[str]:
    return Call(
        service=service,
        name="probe",
        method="GET",
        path=where,
        params={} if service in (Service.NIM_PROXY, Service.DATA_STORE) else {"page_size": 1},
        parse=parse,
        safe_to_repeat=True,
    )
