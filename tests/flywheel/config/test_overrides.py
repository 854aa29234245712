"""What an administrator says over the catalogue's file: what it may be, who wins, what a run sees of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.config.nim_views import known_fields, known_nim, nim_view, nim_views
from include.flywheel.config.nims import CATALOGUE, load_catalogue
from include.flywheel.config.override_documents import NimOverrides
from include.flywheel.config.overrides import MAX_HISTORY, NimOverride, changed, overridden, read_changes
from include.flywheel.config.profile import load_profile
from include.flywheel.errors import ConfigError, StaleVersion, UnknownName

KNOWN = load_catalogue(CATALOGUE)
SMALL = KNOWN["meta/llama-3.2-1b-instruct"]
BARE = KNOWN["google/gemma-2b-it"]
LAPTOP = load_profile("laptop").nims
PRICE = {"seller": "us", "input_usd": 0.1, "output_usd": 0.2, "dated": "2026-01-02", "source": "contract"}
TARGET = {"target": "ours/one@1.0", "num_gpus": 2}

CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "image_tag": st.text(min_size=1, max_size=9),
        "gpus": st.integers(1, 8),
        "context_tokens": st.integers(1, 10**6),
        "customization": st.sampled_from([None, TARGET]),
        "price_per_million_tokens": st.just(PRICE),
    },
)


@pytest.fixture
def overrides(mongo_database: Database[dict[str, Any]]) -> NimOverrides:
    return NimOverrides(mongo_database)


def run_conf(**more: Any) -> dict[str, Any]:
    return {"client_id": "c", "workload_id": "w", **more}


@given(CHANGES.filter(bool))
@settings(max_examples=60, deadline=None)
def test_what_is_said_holds_and_everything_else_is_the_files(said: dict[str, Any]) -> None:
    changes = read_changes(said, SMALL.name)
    assert set(changes) == set(said)
    values = changed(SMALL, changes)
    assert values.model_dump(mode="json", include=set(said)) == changes
    others = set(type(SMALL).model_fields) - set(said) - {"sources"}
    assert values.model_dump(include=others) == SMALL.model_dump(include=others)
    assert changed(SMALL, {}) == SMALL


def test_a_fact_of_an_administrators_has_no_source_of_the_file() -> None:
    values = changed(SMALL, {"gpus": 2, "customization": TARGET})
    assert set(SMALL.sources) - set(values.sources) == {"gpus", "customization", "max_seq_length"}


REFUSED = [
    ({"gpus": 0}, "`gpus` = 0: Input should be greater than or equal to 1"),
    ({"gpu": 1}, "`gpu` = 1: unknown key"),
    ({"gpus": None}, "`gpus` = None: Value error, null is no value of it: reset the field"),
    ({"enabled": "perhaps"}, "`enabled` = 'perhaps'"),
    ({"image_name": "x"}, "`image_name` = 'x': unknown key"),
    ({"customization": {"num_gpus": 1}}, "`customization.target` is missing: add it"),
    ({"price_per_million_tokens": PRICE | {"input_usd": float("inf")}}, "price_per_million_tokens.input_usd"),
    ({}, "nothing is to be changed; give one of: enabled, image_tag, gpus"),
]


@pytest.mark.parametrize(("said", "why"), REFUSED)
def test_what_is_refused_names_field_value_and_remedy(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_changes(said, "m/x")
    assert str(refused.value).startswith("NIM m/x: ")
    assert why in str(refused.value)


def test_the_whole_entry_is_checked_like_the_file(overrides: NimOverrides) -> None:
    weights = {"customization": TARGET | {"finetuning_type": "all_weights"}}
    with pytest.raises(ConfigError, match=r"an LLM is trained with a LoRA.*reset the NIM"):
        overrides.change(SMALL, weights, version=0, by="ada")
    assert overrides.all() == {}


def test_changes_add_up_and_say_who_and_what_was_before(overrides: NimOverrides) -> None:
    first = overrides.change(SMALL, {"gpus": 2}, version=0, by="ada")
    second = overrides.change(SMALL, {"image_tag": "9", "gpus": 3}, version=1, by="bob")
    assert (second.version, second.changes, second.changed_by) == (2, {"gpus": 3, "image_tag": "9"}, "bob")
    [earlier] = second.history
    assert (earlier.changes, earlier.changed_by, earlier.changed_at) == ({"gpus": 2}, "ada", first.changed_at)
    assert overrides.find(SMALL.name) == second
    assert overrides.all() == {SMALL.name: second}
    assert overridden(KNOWN, overrides.all())[SMALL.name].gpus == 3


def test_a_reset_goes_back_to_the_file_and_stays_in_the_history(overrides: NimOverrides) -> None:
    assert overrides.reset(SMALL.name, by="ada") is None
    overrides.change(SMALL, {"gpus": 2, "enabled": False}, version=0, by="ada")
    part = overrides.reset(SMALL.name, by="bob", fields=["gpus"])
    assert part is not None
    assert part.changes == {"enabled": False}
    whole = overrides.reset(SMALL.name, by="bob", version=2)
    assert whole is not None
    assert (whole.version, whole.changes) == (3, {})
    assert [one.changes for one in whole.history] == [{"enabled": False}, {"gpus": 2, "enabled": False}]
    assert overridden(KNOWN, overrides.all()) == KNOWN
    assert overrides.reset(SMALL.name, by="bob") == whole, "what says nothing cannot be reset again"


def test_the_history_is_bounded(overrides: NimOverrides) -> None:
    for version in range(MAX_HISTORY + 3):
        last = overrides.change(SMALL, {"gpus": version % 8 + 1}, version=version, by="ada")
    assert len(last.history) == MAX_HISTORY
    assert [last.history[0].version, last.history[-1].version] == [last.version - 1, 3]


def test_a_stale_version_is_a_conflict_that_says_so(overrides: NimOverrides) -> None:
    with pytest.raises(StaleVersion, match="`version` = 4, but it was never changed, which is version 0"):
        overrides.change(SMALL, {"gpus": 2}, version=4, by="ada")
    overrides.change(SMALL, {"gpus": 2}, version=0, by="ada")
    late: list[Callable[[], Any]] = [
        lambda: overrides.change(SMALL, {"gpus": 3}, version=0, by="bob"),
        lambda: overrides.reset(SMALL.name, by="bob", version=0),
    ]
    for act in late:
        with pytest.raises(StaleVersion, match=r"`version` = 0, but ada made version 1 at .*read the NIM"):
            act()


def test_of_many_that_have_seen_the_same_version_one_wins(overrides: NimOverrides) -> None:
    def attempt(who: int, version: int) -> bool:
        try:
            overrides.change(SMALL, {"gpus": who + 1}, version=version, by=str(who))
        except StaleVersion:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for version in range(4):
            won = list(pool.map(attempt, range(8), [version] * 8))
            found = overrides.find(SMALL.name)
            assert found is not None
            assert sum(won) == 1
            assert (found.version, found.changed_by) == (version + 1, str(won.index(True)))


def test_an_edit_changes_the_next_run_and_not_a_past_one(overrides: NimOverrides) -> None:
    before = resolve(run_conf(nims=[SMALL.name]), None, overridden(KNOWN, overrides.all()))
    stored = before.model_dump(mode="json")
    overrides.change(SMALL, {"gpus": 2, "customization": None}, version=0, by="ada")
    after = resolve(run_conf(nims=[SMALL.name]), None, overridden(KNOWN, overrides.all()))
    assert (after.nims[0].gpus, after.nims[0].customization) == (2, None)
    assert ResolvedConfig.model_validate(stored) == before
    assert before.nims[0].gpus == 1


def test_a_disabled_nim_is_refused_by_name_and_left_out_of_a_profile() -> None:
    off = overridden(KNOWN, {LAPTOP[0]: override(LAPTOP[0], {"enabled": False})})
    with pytest.raises(ConfigError, match=rf"`nims` names '{LAPTOP[0]}', which is disabled .* enabled=true"):
        resolve(run_conf(nims=[LAPTOP[0]]), None, off)
    config = resolve(run_conf(), None, off)
    assert [nim.name for nim in config.nims] == LAPTOP[1:]
    assert config.left_out == {LAPTOP[0]: "disabled in the NIM catalogue"}
    assert resolve(run_conf(nims=LAPTOP[1:]), None, off).left_out == {}


def test_a_profile_of_which_no_nim_is_left_is_refused() -> None:
    off = overridden(KNOWN, {name: override(name, {"enabled": False}) for name in LAPTOP})
    with pytest.raises(ConfigError, match=r"every NIM of that profile is disabled.*name others in `nims`"):
        resolve(run_conf(), None, off)


def test_an_override_that_the_file_contradicts_by_now_is_refused_and_shown() -> None:
    broken = {SMALL.name: override(SMALL.name, {"gpus": -1})}
    with pytest.raises(ConfigError, match=rf"NIM {SMALL.name}: `gpus` = -1.*reset the NIM"):
        overridden(KNOWN, broken)
    shown = {view.name: view for view in nim_views(KNOWN, broken)}[SMALL.name]
    assert shown.values == SMALL
    assert "`gpus` = -1" in (shown.problem or "")
    assert overridden(KNOWN, {"m/gone": override("m/gone", {"gpus": -1})}) == KNOWN


def test_a_view_says_what_can_be_done_and_what_is_not_known() -> None:
    shown = nim_view(SMALL, override(SMALL.name, {"gpus": 2}), history=True)
    assert (shown.version, shown.values.gpus, shown.in_file["gpus"], shown.override) == (7, 2, 1, {"gpus": 2})
    assert (shown.can_be_deployed, shown.can_be_customized, shown.unknown) == (True, True, [])
    assert (shown.changed_by, shown.history) == ("ada", [])
    bare = nim_view(BARE, None)
    assert (bare.can_be_deployed, bare.can_be_customized, bare.version) == (False, False, 0)
    assert {"image_name", "image_tag", "context_tokens", "tool_calling"} <= set(bare.unknown)
    assert not nim_view(SMALL, override(SMALL.name, {"enabled": False})).can_be_deployed


@pytest.mark.parametrize(
    ("look", "error", "said"),
    [
        (lambda: known_nim(KNOWN, "m/none"), UnknownName, "'m/none' is not in the catalogue; known are:"),
        (
            lambda: known_fields(["gpus", "name"]),
            ConfigError,
            "`name` cannot be changed; what can is: enabled",
        ),
    ],
)
def test_names_are_looked_up(look: Callable[[], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        look()


def override(nim: str, changes: dict[str, Any]) -> NimOverride:
    return NimOverride(
        nim=nim, version=7, changes=changes, changed_by="ada", changed_at="2026-01-01T00:00:00"
    )
