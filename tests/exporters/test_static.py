"""filebeat.yml and fluent-bit.yaml as far as a parser can tell: neither program is run here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

EXPORTERS = Path(__file__).resolve().parents[2] / "include" / "exporters"
DOCUMENTED = yaml.safe_load((Path(__file__).parent / "documented_options.yaml").read_text())
SHELL_VARIABLE = re.compile(r"\$\{(\w+)(?::[^}]*)?\}|\$(FLYWHEEL_\w+)")


class NoRepeats(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, where plain YAML would forget the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice: {keys}"
        return super().construct_mapping(node, deep)


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((EXPORTERS / name).read_text(), NoRepeats)
    return loaded


def pages(program: str, *names: str) -> set[str]:
    return {option for name in names for option in DOCUMENTED[program][name]}


def undocumented(options: Iterable[str], documented: set[str]) -> set[str]:
    """Options that neither stand in the list nor below one that does."""
    return {
        one for one in options if not any(one == name or one.startswith(f"{name}.") for name in documented)
    }


@pytest.fixture(scope="module")
def filebeat() -> dict[str, Any]:
    return load("filebeat.yml")


@pytest.fixture(scope="module")
def fluent_bit() -> dict[str, Any]:
    return load("fluent-bit.yaml")


@pytest.mark.parametrize("name", ["filebeat.yml", "fluent-bit.yaml", "rsyslog.conf"])
def test_every_setting_is_listed(name: str) -> None:
    listed = set(re.findall(r"^(FLYWHEEL_\w+)=", (EXPORTERS / "exporters.env").read_text(), re.MULTILINE))
    used = {one or two for one, two in SHELL_VARIABLE.findall((EXPORTERS / name).read_text())}
    assert used <= listed
    assert {"FLYWHEEL_LOGS", "FLYWHEEL_STATE", "FLYWHEEL_ES_INDEX"} <= used


@pytest.mark.parametrize("name", ["filebeat.yml", "fluent-bit.yaml"])
def test_it_says_that_it_was_not_run(name: str) -> None:
    assert "Not run by this project's tests" in (EXPORTERS / name).read_text()


def test_filebeat_uses_documented_options_alone(filebeat: dict[str, Any]) -> None:
    named = DOCUMENTED["filebeat"]
    general = {"filebeat.inputs", "processors", "output.elasticsearch"}
    assert not undocumented(set(filebeat) - general, {one for page in named.values() for one in page})
    [source] = filebeat["filebeat.inputs"]
    assert not undocumented(source, pages("filebeat", "Filebeat: filestream input"))
    assert not undocumented(filebeat["queue.disk"], {"max_size"})
    output = pages("filebeat", "Filebeat: Elasticsearch output", "Filebeat: SSL")
    assert not undocumented(filebeat["output.elasticsearch"], output)
    conditions = pages("filebeat", "Filebeat: processors, conditions")
    for processor in filebeat["processors"]:
        [(name, options)] = processor.items()
        [page] = [page for page, options in named.items() if options[0] == name]
        assert not undocumented(options, pages("filebeat", page) | conditions), name


def test_filebeat_leaves_the_record_as_it_is(filebeat: dict[str, Any]) -> None:
    steps = [next(iter(processor.items())) for processor in filebeat["processors"]]
    assert [name for name, _ in steps] == [
        "fingerprint",
        "rename",
        "decode_json_fields",
        "drop_fields",
        "drop_fields",
    ]
    fingerprint, rename, decode, drop_line, drop_own = (options for _, options in steps)
    assert (fingerprint["fields"], fingerprint["target_field"]) == (["message"], "@metadata._id")
    assert rename["fields"] == [{"from": "message", "to": "undecoded_line"}]
    assert (decode["fields"], decode["target"], decode["max_depth"]) == (["undecoded_line"], "", 1)
    assert "expand_keys" not in decode
    assert drop_line["fields"] == ["undecoded_line"]
    assert not set(drop_own["fields"]) & {"timestamp", "request", "response", "error", "message"}
    output = filebeat["output.elasticsearch"]
    [dead_letters] = output["indices"]
    assert dead_letters["when.not.has_fields"] == drop_line["when.has_fields"]
    assert dead_letters["index"] == output["non_indexable_policy.dead_letter_index"]["index"]
    assert filebeat["filebeat.inputs"][0]["message_max_bytes"] >= 1 << 20
    assert output["bulk_max_size"] << 20 < 100_000_000


def test_fluent_bit_uses_documented_options_alone(fluent_bit: dict[str, Any]) -> None:
    assert set(fluent_bit) == {"service", "parsers", "pipeline"}
    assert not undocumented(fluent_bit["service"], pages("fluent_bit", "YAML configuration: service"))
    for parser in fluent_bit["parsers"]:
        assert not undocumented(parser, pages("fluent_bit", "YAML configuration: parsers"))
    more = {
        "inputs": ["Buffering and storage: input section"],
        "filters": [],
        "outputs": ["Transport security", "Scheduling and retries"],
    }
    assert set(fluent_bit["pipeline"]) == set(more)
    titles = {"es": "elasticsearch", "rewrite_tag": "rewrite tag"}
    for kind, plugins in fluent_bit["pipeline"].items():
        for plugin in plugins:
            title = f"{kind.capitalize()}: {titles.get(plugin['name'], plugin['name'])}"
            assert not undocumented(plugin, pages("fluent_bit", title, *more[kind])), title


def test_fluent_bit_leaves_the_record_as_it_is(fluent_bit: dict[str, Any]) -> None:
    [source], filters = fluent_bit["pipeline"]["inputs"], fluent_bit["pipeline"]["filters"]
    es, dead_letters = fluent_bit["pipeline"]["outputs"]
    assert [one["name"] for one in filters] == ["lua", "parser", *["modify"] * 3, "rewrite_tag"]
    lua, parser, *marks, route = filters
    # Before the line is decoded: Lua has one kind of table for lists and objects.
    assert source["key"] == parser["key_name"]
    assert f'record["{source["key"]}"]' in lua["code"]
    assert not parser["reserve_data"]
    assert not parser["preserve_key"]
    fields = [one["condition"].split()[1] for one in marks]
    assert fields == ["timestamp", "client_id", "workload_id"]
    assert {one["set"].split()[0] for one in marks} == {"flywheel_lacks"}
    assert route["rule"] == f"$flywheel_lacks .+ {dead_letters['match']} false"
    assert {one["match"] for one in [*filters, es]} == {source["tag"]}
    assert (es["write_operation"], es["generate_id"], es["replace_dots"]) == ("create", True, False)
    assert not {"logstash_format", "include_tag_key", "type"} & set(es)
    assert {one["retry_limit"] for one in (es, dead_letters)} == {"no_limits"}
    assert not source["skip_long_lines"]
