"""docker-compose.yaml: valid, without passwords, and consistent with .env.example and the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[-?])?([^}]*)\}")
# A bucket's AWS_SECRET_ACCESS_KEY is none of these: the machine may have a role of its own.
SECRET_NAME = re.compile(r"(PASSWORD|SECRET|SECRET_KEY|FERNET_KEY)$")
ONE_SHOT = {"airflow-init", "elasticsearch-init", "feedback-init"}
Services = dict[str, dict[str, Any]]


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def is_secret(name: str) -> bool:
    return bool(SECRET_NAME.search(name))


def test_it_is_valid() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"),
            "docker-compose.yaml",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_is_there(services: Services) -> None:
    assert set(services) == {
        *("airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor"),
        *("airflow-triggerer", "airflow-worker", "redis", "postgres", "elasticsearch", "elasticsearch-init"),
        *("mongodb", "nemo-local", "kibana", "flower", "feedback-init", "feedback-api"),
    }
    profiles = {name: one["profiles"] for name, one in services.items() if "profiles" in one}
    assert profiles == {"nemo-local": ["local"], "kibana": ["dev"], "flower": ["dev"]}


def test_variables_are_those_of_the_example() -> None:
    assert {name for name, _, _ in VARIABLE.findall(TEXT)} == set(env_example())


def test_defaults_are_those_of_the_example() -> None:
    given = env_example()
    defaults = {(name, value) for name, kind, value in VARIABLE.findall(TEXT) if kind == ":-"}
    assert {(name, value) for name, value in defaults if given[name] != value} == set()
    assert all(kind for _, kind, _ in VARIABLE.findall(TEXT)), "a variable needs a default or a remedy"


def test_the_example_holds_no_secret_and_compose_asks_for_each_with_a_remedy() -> None:
    given = env_example()
    secrets = {name for name in given if is_secret(name)}
    assert len(secrets) == 15
    assert {name for name in secrets if given[name]} == set()
    for name, kind, remedy in VARIABLE.findall(TEXT):
        if name in secrets:
            assert kind == ":?", name
            assert ".env.example" in remedy


def test_no_password_stands_in_the_file(services: Services) -> None:
    found = []
    for service, one in services.items():
        for name, value in one.get("environment", {}).items():
            if is_secret(name) and not re.fullmatch(r"\$\{\w+:[-?][^}]*\}", str(value)):
                found.append((service, name))
            if re.search(r"//[^/\s]*:(?!\$\{)[^/\s@]+@", str(value)):
                found.append((service, name))
    assert found == []


def test_images_are_pinned_to_a_patch_release(services: Services) -> None:
    for name, one in services.items():
        image = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", one["image"])
        assert re.search(r":\d+\.\d+\.\d+(-\w+)?$|postgres:\d+\.\d+-\w+$", image), (name, image)
    [base] = re.findall(r"^FROM (\S+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    [airflow] = re.findall(
        r"^apache-airflow==(\S+)", (ROOT / "deploy/requirements.txt").read_text(), re.MULTILINE
    )
    assert base == f"apache/airflow:slim-{airflow}-python3.11"


def test_kibana_fits_elasticsearch(services: Services) -> None:
    assert services["kibana"]["image"].split(":")[1] == services["elasticsearch"]["image"].split(":")[1]


def test_nobody_is_root_and_nobody_may_become_it(services: Services) -> None:
    for name, one in services.items():
        assert str(one["user"]).split(":")[0] not in {"root", "0"}, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in one, name


def test_everything_is_asked_whether_it_is_healthy(services: Services) -> None:
    for name, one in services.items():
        assert ("healthcheck" in one) != (name in ONE_SHOT), name
        assert (one["restart"] == "no") == (name in ONE_SHOT), name


def test_what_is_depended_on_is_waited_for(services: Services) -> None:
    for name, one in services.items():
        for other, how in one.get("depends_on", {}).items():
            ready = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == ready, (name, other)
            # A service of a profile that is off could not be waited for.
            assert set(services[other].get("profiles", [])) <= set(one.get("profiles", [])), (name, other)


def test_volumes_are_named_and_mounted_files_exist(compose: dict[str, Any], services: Services) -> None:
    used = set()
    for one in services.values():
        for volume in one.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                used.add(source)
    assert used == set(compose["volumes"])


def test_only_this_machine_reaches_the_published_ports(services: Services) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert set(published) == {"airflow-api-server", "feedback-api", "kibana", "flower"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_addresses_lead_to_services_and_their_ports(services: Services) -> None:
    listening = {"postgres": 5432, "redis": 6379, "elasticsearch": 9200, "airflow-api-server": 8080}
    for name, one in services.items():
        for value in map(str, one.get("environment", {}).values()):
            plain = re.sub(r"\$\{[^}]*\}", "x", value)
            for host, port in re.findall(r"//(?:[^@/]*@)?([a-z-]+):(\d+)", plain):
                assert host in {"localhost", "nemo-local"} or listening[host] == int(port), (name, value)


def test_the_standins_addresses_in_the_example_are_those_it_listens_at(services: Services) -> None:
    command = services["nemo-local"]["command"]
    port = command[command.index("--port") + 1]
    given = env_example()
    assert given["NEMO_URL"] == given["NEMO_DATA_STORE_URL"] == f"http://nemo-local:{port}"
    assert given["NEMO_NIM_PROXY_URL"] == f"http://nemo-local:{port}/nim"
    asked = [sys.executable, "-m", "include.nemo_local", "--help"]
    help_text = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {one for one in command if one.startswith("--")} <= set(re.findall(r"--[\w-]+", help_text))


def test_tasks_at_once_are_workers_times_concurrency() -> None:
    given = {name: int(value) for name, value in env_example().items() if value.isdigit()}
    assert given["AIRFLOW_PARALLELISM"] == given["AIRFLOW_WORKERS"] * given["AIRFLOW_WORKER_CONCURRENCY"]


@pytest.mark.parametrize("path", ["deploy/airflow_settings.yaml", "airflow_settings.yaml"])
def test_connections_of_development_and_production_are_the_same(path: str) -> None:
    found = yaml.safe_load((ROOT / path).read_text())["airflow"]
    ids = {one["conn_id"] for one in found["connections"]}
    assert ids == {"flywheel_logs", "flywheel_runs", "flywheel_feedback", "nemo", "application"}
    assert [one["variable_name"] for one in found["variables"]] == ["flywheel_staging_url"]


def test_init_is_given_what_the_settings_need(services: Services) -> None:
    text = (ROOT / "deploy/airflow_settings.yaml").read_text()
    needed = set(re.findall(r"^[^#\n]*\$\{(\w+)\}", text, re.MULTILINE))
    assert len(needed) == 8
    assert needed <= set(services["airflow-init"]["environment"])
