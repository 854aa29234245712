from __future__ import annotations

from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization

from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.operators.base import NemoJobOperator
from include.airflow_nemo.operators.customize import NemoCustomizeOperator
from include.airflow_nemo.operators.deploy import NemoDeployOperator
from include.airflow_nemo.operators.evaluate import NemoEvaluateOperator
from include.airflow_nemo.operators.undeploy import NemoUndeployOperator

ALL: list[tuple[type[NemoJobOperator], dict[str, Any]]] = [
    (NemoDeployOperator, {"deployment": "d-{{ run_id }}", "config": {"model": "{{ run_id }}"}}),
    (NemoUndeployOperator, {"deployment": "d-{{ run_id }}"}),
    (NemoEvaluateOperator, {"config": "ns/{{ run_id }}", "target": {"model": "{{ run_id }}"}}),
    (
        NemoCustomizeOperator,
        {
            "config": "ns/{{ run_id }}",
            "dataset": "ns/{{ run_id }}",
            "hyperparameters": {"seed": "{{ run_id }}"},
            "output_model": "ns/{{ run_id }}",
            "custom_fields": {"nim": "{{ run_id }}"},
        },
    ),
]


@pytest.mark.parametrize(("operator", "arguments"), ALL, ids=lambda value: getattr(value, "__name__", ""))
def test_it_waits_in_the_triggerer_and_survives_serialization(
    operator: type[NemoJobOperator], arguments: dict[str, Any]
) -> None:
    with DAG("d", schedule=None) as dag:
        made = operator(task_id="work", **arguments)
    assert made.deferrable is True
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("work")
    assert set(arguments) <= set(task.template_fields)
    assert RemoteJobLink().name in task.extra_links


@pytest.mark.parametrize(("operator", "arguments"), ALL, ids=lambda value: getattr(value, "__name__", ""))
def test_templates_are_rendered(operator: type[NemoJobOperator], arguments: dict[str, Any]) -> None:
    made = operator(task_id="work", **arguments)
    made.render_template_fields({"run_id": "r1"}, jinja2.Environment(autoescape=False))
    for field in arguments:
        assert "r1" in str(getattr(made, field))
        assert "{{" not in str(getattr(made, field))
    if "project" in made.template_fields and operator is not NemoDeployOperator:
        assert made.project == "r1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pauses", "words"),
    [
        ({"poll_seconds": 0}, "poll_seconds is 0"),
        ({"poll_seconds": 20, "max_poll_seconds": 10}, "max_poll_seconds is 10"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0"),
    ],
)
def test_impossible_pauses_are_refused_when_the_dag_is_read(pauses: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NemoUndeployOperator(task_id="work", deployment="d", **pauses)


def test_positional_parameters_are_refused() -> None:
    assert issubclass(NemoJobOperator, BaseOperator)
    with pytest.raises(TypeError, match=r"keyword|positional"):
        NemoUndeployOperator("work", "d")  # type: ignore[misc]
