"""`extends`: what a file takes over, and what is said of a parent that cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.config.inheritance import merge, read_inherited
from include.flywheel.errors import ConfigError


def files(folder: Path, **contents: Any) -> dict[str, Path]:
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return {name: folder / f"{name}.yaml" for name in contents}


def test_mappings_are_merged_at_every_depth_and_the_rest_replaced(tmp_path: Path) -> None:
    known = files(
        tmp_path,
        root={"a": {"x": 1, "y": {"z": 1, "w": 2}}, "list": [1, 2], "kept": True, "gone": 5},
        middle={"extends": "root", "a": {"y": {"z": 3}}},
        leaf={"extends": "middle", "a": {"x": 9}, "list": [7], "gone": None},
    )
    merged, chain = read_inherited("leaf", known)
    assert merged == {"a": {"x": 9, "y": {"z": 3, "w": 2}}, "list": [7], "kept": True, "gone": None}
    assert chain == ["leaf", "middle", "root"]
    assert read_inherited("root", known)[1] == ["root"]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            {"a": {"extends": "b"}, "c": {}},
            "profiles/a.yaml: `extends` = 'b': no such profile; known are: a, c",
        ),
        ({"a": {"extends": ["b"]}}, "profiles/a.yaml: `extends` = ['b']: give the name of one profile"),
        ({"a": {"extends": 3}}, "profiles/a.yaml: `extends` = 3: give the name of one profile"),
        (
            {"a": {"extends": "a"}},
            "profiles/a.yaml: `extends` = 'a' leads back: a extends a; take one `extends` out",
        ),
        (
            {"a": {"extends": "b"}, "b": {"extends": "c"}, "c": {"extends": "b"}},
            "profiles/c.yaml: `extends` = 'b' leads back: b extends c extends b; take one `extends` out",
        ),
        ({"a": {"extends": "../b"}, "b": {}}, "profiles/a.yaml: `extends` = '../b': no such profile"),
    ],
)
def test_a_parent_that_cannot_be_names_file_key_value_and_remedy(
    tmp_path: Path, contents: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_inherited("a", files(tmp_path, **contents))


@pytest.mark.parametrize("content", [None, ["a"], "text"])
def test_a_file_that_is_no_mapping_is_left_to_its_model(tmp_path: Path, content: Any) -> None:
    assert read_inherited("a", files(tmp_path, a=content)) == (content, ["a"])


keys = st.sampled_from("abc")
values = st.recursive(
    st.integers(0, 3) | st.none() | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(keys, values, max_size=3)


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """What stands at each path that ends in no mapping, or in an empty one."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        where: leaf for key, inner in value.items() for where, leaf in leaves(inner, (*path, key)).items()
    }


@given(mappings, mappings)
def test_the_child_has_the_last_word_and_nothing_else_is_lost(base: Any, over: Any) -> None:
    merged = merge(base, over)
    assert merge(base, {}) == base
    assert merge({}, over) == over
    assert merge(merged, over) == merged
    found = leaves(merged)
    for path, value in leaves(over).items():
        assert value == {} or found[path] == value
    for path, value in leaves(base).items():
        beside = not any(path[: len(other)] == other or other[: len(path)] == path for other in leaves(over))
        if beside:
            assert found[path] == value
