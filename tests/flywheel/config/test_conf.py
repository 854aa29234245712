"""How conf, workload, profile and catalogue become one configuration, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.config.inheritance import merge
from include.flywheel.config.nims import NimType, load_catalogue
from include.flywheel.config.profile import load_profile, profile_files
from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.errors import ConfigError, UnknownName

LAPTOP = load_profile("laptop")
DESK = Workload(client_id="acme", workload_id="desk")


def conf(**changes: Any) -> dict[str, Any]:
    return {"client_id": "acme", "workload_id": "desk", **changes}


def test_a_bare_conf_takes_everything_from_the_profile() -> None:
    config = resolve(conf(), DESK)
    assert config.config_name == "laptop"
    assert [nim.name for nim in config.nims] == LAPTOP.nims
    assert (config.split, config.icl, config.gate) == (LAPTOP.split, LAPTOP.icl, LAPTOP.gate)
    assert (config.training, config.waiting, config.seed) == (LAPTOP.training, LAPTOP.waiting, LAPTOP.seed)


@pytest.mark.parametrize(
    ("key", "value"),
    [("eval_size", 7), ("val_ratio", 0.5), ("min_total_records", 9), ("limit", None), ("limit", 12)],
)
def test_a_partial_split_changes_its_own_keys_alone(key: str, value: Any) -> None:
    split = resolve(conf(data_split_config={key: value}), DESK).split
    assert getattr(split, key) == value
    assert split.model_dump(exclude={key}) == LAPTOP.split.model_dump(exclude={key})


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("icl", {"max_examples": 2}),
        ("icl", {"similarity_config": {"relevance_ratio": 0.1}}),
        ("training", {"epochs": 1, "lora": {"adapter_dim": 8}}),
        ("training", {"learning_rate": None, "lora": {}}),
        ("training", {}),
    ],
)
def test_partial_examples_and_training_change_their_own_keys_alone(
    field: str, changes: dict[str, Any]
) -> None:
    before = getattr(LAPTOP, field).model_dump()
    after = getattr(resolve(conf(**{field: changes}), DESK), field).model_dump()
    assert after == merge(before, changes)
    untouched = {key for key in before if key not in changes}
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}
    assert resolve(conf(**{field: None}), DESK) == resolve(conf(), DESK)


def test_a_partial_lora_keeps_the_profiles_other_key() -> None:
    lora = resolve(conf(training={"lora": {"adapter_dropout": 0.2}}), DESK).training.lora
    assert (lora.adapter_dropout, lora.adapter_dim) == (0.2, LAPTOP.training.lora.adapter_dim)


def test_the_splits_seed_is_the_runs_seed() -> None:
    assert resolve(conf(data_split_config={"random_seed": 0}), DESK).seed == 0
    assert resolve(conf(data_split_config={"random_seed": None}), DESK).seed == LAPTOP.seed


def test_a_conf_chooses_nims_in_its_order_and_a_quality() -> None:
    names = list(reversed(LAPTOP.nims))[:2]
    config = resolve(conf(nims=names, min_quality=0.75), DESK)
    assert [nim.name for nim in config.nims] == names
    assert config.workload.non_negotiable.min_quality == 0.75
    assert DESK.non_negotiable.min_quality is None


def test_a_conf_without_quality_keeps_the_workloads() -> None:
    strict = Workload(client_id="acme", workload_id="desk", non_negotiable={"min_quality": 0.9})
    assert resolve(conf(), strict).workload.non_negotiable.min_quality == 0.9
    assert resolve(conf(min_quality=0), strict).workload.non_negotiable.min_quality == 0


def test_on_demand_finds_the_configured_workload_and_describes_any_other() -> None:
    configured = load_workloads()[0]
    asked = {"client_id": configured.client_id, "workload_id": configured.workload_id}
    assert resolve(asked, None).workload == configured
    assert resolve(conf(), None).workload == DESK


def test_a_resolved_config_survives_its_document() -> None:
    config = resolve(conf(min_quality=0.5), DESK)
    assert ResolvedConfig.model_validate(config.model_dump(mode="json")) == config


KNOWN = ", ".join(sorted(name for name, nim in load_catalogue().items() if nim.type is NimType.LLM))
PROFILES = ", ".join(sorted(profile_files()))
TWICE = LAPTOP.nims[0]
REFUSED = [
    ({"eval_sise": 3}, "conf: `eval_sise` = 3: unknown key: remove it or correct its spelling"),
    ({"job_type": "chat"}, "conf: `job_type` = 'chat': Input should be 'llm_job'"),
    ({"min_quality": 2}, "conf: `min_quality` = 2: Input should be less than or equal to 1"),
    ({"client_id": ""}, "conf: `client_id` = '': String should have at least 1 character"),
    ({"nims": []}, "conf: `nims` = []: List should have at least 1 item"),
    (
        {"data_split_config": {"eval_sise": 3}},
        "conf.data_split_config: `eval_sise` = 3: unknown key: remove it or correct its spelling",
    ),
    (
        {"data_split_config": {"eval_size": "ten"}},
        "conf.data_split_config: `eval_size` = 'ten': Input should be a valid integer",
    ),
    (
        {"training": {"lora": {"rank": 8}}},
        "conf.training: `lora.rank` = 8: unknown key: remove it or correct its spelling",
    ),
    ({"training": {"epochs": 0}}, "conf.training: `epochs` = 0: Input should be greater than or equal to 1"),
    ({"icl": {"max_examples": 0}}, "conf.icl: `max_examples` = 0: Input should be greater than"),
    ({"icl": {"min_examples": 50}}, "conf.icl: `(whole)` = "),
    ({"data_split_config": {"eval_size": None}}, "conf.data_split_config: `eval_size` = None"),
    (
        {"nims": ["meta/none"]},
        f"`nims` names 'meta/none', which the NIM catalogue does not know; known are: {KNOWN}",
    ),
    (
        {"nims": ["nvidia/nv-embedqa-e5-v5"]},
        "`nims` names 'nvidia/nv-embedqa-e5-v5': its `type` is 'embedding', but this job evaluates NIMs of",
    ),
    (
        {"nims": ["google/gemma-2b-it"]},
        "`nims` names 'google/gemma-2b-it', but the NIM catalogue does not know its `image_name`, "
        "`image_tag`, without which it cannot be deployed; complete its entry",
    ),
    ({"nims": [TWICE, TWICE]}, f"`nims` names {TWICE} more than once; name each NIM once"),
    ({"config_name": "huge"}, f"`config_name` is 'huge'; known profiles are: {PROFILES}"),
    (
        {"workload_id": "other"},
        "`workload_id` = 'other': this DAG turns the wheel for 'desk' only; use the other workload's own "
        "DAG, or flywheel_on_demand",
    ),
    ({"client_id": "rival"}, "`client_id` = 'rival': this DAG turns the wheel for 'acme' only"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_refused_names_field_value_and_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(conf(**changes), DESK)
    assert str(refused.value).startswith(message)


def test_a_missing_name_says_so_without_repeating_the_conf() -> None:
    with pytest.raises(ConfigError) as refused:
        resolve({"config_name": "laptop"}, None)
    assert str(refused.value) == "conf: `client_id` is missing: add it; `workload_id` is missing: add it"


def test_unknown_names_are_an_error_of_their_own() -> None:
    for changes in ({"nims": ["meta/none"]}, {"config_name": "../secrets"}):
        with pytest.raises(UnknownName):
            resolve(conf(**changes), DESK)


@given(st.dictionaries(st.sampled_from(sorted(SplitConfig.model_fields)), st.integers(-2, 3) | st.none()))
@settings(max_examples=50, deadline=None)
def test_any_split_is_taken_whole_or_refused_by_name(changes: dict[str, Any]) -> None:
    try:
        split = resolve(conf(data_split_config=changes), DESK).split
    except ConfigError as error:
        named = {part.split("`")[0] for part in str(error).split(" `")[1:]} | {str(error).split("`")[1]}
        assert named
        assert named <= set(changes)
    else:
        assert {key: getattr(split, key) for key in changes} == changes


def test_the_kind_of_job_is_the_workloads_unless_the_conf_says_another() -> None:
    workload = Workload(client_id="acme", workload_id="search", job_type="embedding_job")
    conf = {"client_id": "acme", "workload_id": "search"}
    resolved = resolve(conf, workload)
    assert (resolved.job_type, resolved.config_name) == ("embedding_job", "embedding")
    assert resolve(conf | {"job_type": "llm_job", "config_name": "laptop"}, workload).job_type == "llm_job"
