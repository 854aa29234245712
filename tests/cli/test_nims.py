"""The catalogue is listed, changed and put back from a terminal."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pymongo.database import Database

from include.cli.nims import main
from include.flywheel.config.override_documents import NimOverrides

SMALL = "meta/llama-3.2-1b-instruct"
Run = Callable[..., str]


@pytest.fixture
def run(
    mongo_uri: str,
    mongo_database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """`run("set", NAME, …)`: what the command prints; it must end well."""
    place = urlsplit(mongo_uri)
    connection = {"conn_type": "mongo", "host": place.hostname, "port": place.port}
    connection["schema"] = mongo_database.name
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(connection))

    def call(*arguments: str) -> str:
        assert main(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return call


def test_set_says_what_changed_and_who_is_written_down(
    run: Run, mongo_database: Database[dict[str, Any]]
) -> None:
    out = run(
        "set", SMALL, "gpus=2", "enabled=false", "customization.num_gpus=2", "customization.target=a/b@1"
    )
    lines = out.splitlines()
    assert f"{SMALL} gpus: 1 → 2" in lines
    assert f"{SMALL} enabled: true → false" in lines
    assert sum(line.startswith(SMALL) for line in lines) == 3
    assert lines[-1] == f"version 1, by {getpass.getuser()}; the runs to come work with it"
    found = NimOverrides(mongo_database).find(SMALL)
    assert found is not None
    custom = found.changes["customization"]
    assert (custom["num_gpus"], custom["target"], custom["max_seq_length"]) == (2, "a/b@1", 8192)
    assert run("set", SMALL, "gpus=2").strip() == f"{SMALL}: nothing changed"


def test_list_and_show_tell_the_changed_from_the_files(run: Run) -> None:
    run("set", SMALL, "enabled=false", "customization=null")
    price = "{seller: us, input_usd: 0.1, output_usd: 0.2, dated: 2026-01-31, source: contract}"
    run("set", SMALL, f"price_per_million_tokens={price}")
    [row] = [line for line in run("list").splitlines() if line.startswith(SMALL)]
    assert " disabled " in row
    assert row.endswith("enabled, customization, price_per_million_tokens")
    views = {one["name"]: one for one in json.loads(run("list", "--json"))}
    assert (views[SMALL]["can_be_deployed"], views[SMALL]["can_be_customized"]) == (False, False)
    assert len(views) > 20
    shown = yaml.safe_load(run("show", SMALL))
    assert shown["values"]["price_per_million_tokens"]["seller"] == "us"
    assert shown["in_file"]["customization"]["num_gpus"] == 1
    assert [one["version"] for one in shown["history"]] == [1]
    assert json.loads(run("show", SMALL, "--json"))["version"] == 2


def test_reset_puts_a_field_or_all_of_it_back(run: Run) -> None:
    run("set", SMALL, "gpus=2", "enabled=false")
    assert run("reset", SMALL, "gpus").splitlines()[0] == f"{SMALL} gpus: 2 → 1"
    assert run("reset", SMALL).splitlines()[0] == f"{SMALL} enabled: false → true"
    assert run("reset", SMALL).strip() == f"{SMALL}: nothing changed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["set", "m/none", "gpus=1"], "NIM 'm/none' is not in the catalogue; known are: "),
        (["show", "m/none"], "NIM 'm/none' is not in the catalogue"),
        (["set", SMALL, "gpus=many"], f"NIM {SMALL}: `gpus` = 'many': "),
        (["set", SMALL, "gpus=1", "gpus=2"], "`gpus` is given twice"),
        (["set", SMALL, "name=x"], "`name` = 'x': unknown key"),
        (["set", SMALL, "gpus=null"], "null is no value of it"),
        (["reset", SMALL, "name"], "`name` cannot be changed; what can is: "),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert callable(run)
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("word", ["gpus", "gpus=[1"])
def test_what_is_no_pair_is_wrong_usage(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["set", SMALL, word])
    assert refused.value.code == 2
    assert repr(word) in capsys.readouterr().err


def test_a_store_that_is_away_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free_port: Callable[[], int]
) -> None:
    place = {"conn_type": "mongo", "host": "127.0.0.1", "port": free_port()}
    place["extra"] = json.dumps({"serverSelectionTimeoutMS": 200})
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(place))
    assert main(["list"]) == 1
    assert "the NIM overrides cannot be reached" in capsys.readouterr().err
