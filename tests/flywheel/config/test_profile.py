"""Profiles: what the repository ships, where they are looked for, and what the size of a model decides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.config import profile
from include.flywheel.config.lora_defaults import DEFAULTS, lora_defaults
from include.flywheel.config.nims import CATALOGUE, NimType, load_catalogue, select
from include.flywheel.config.profile import Lora, Training, load_profile, profile_files
from include.flywheel.errors import ConfigError, UnknownName

SHIPPED = sorted(path.stem for path in profile.DIRECTORY.glob("*.yaml"))
KNOWN = load_catalogue(CATALOGUE)
MINE = "description: d\nnims: [a]\n"


def write(folder: Path, **profiles: object) -> Path:
    for name, content in profiles.items():
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("name", SHIPPED)
def test_every_profile_of_the_repository_can_get_its_gpus(name: str) -> None:
    chosen = load_profile(name, profile.DIRECTORY)
    nims = select(KNOWN, chosen.nims, KNOWN[chosen.nims[0]].type)
    assert len(nims) == len(set(chosen.nims))
    assert chosen.description
    needs = {nim.gpus or 0 for nim in nims} | {n.customization.num_gpus for n in nims if n.customization}
    assert chosen.gpus.total is not None
    assert max(needs) <= chosen.gpus.total


def test_the_repository_ships_a_profile_for_every_size_of_installation() -> None:
    loaded = {name: load_profile(name, profile.DIRECTORY) for name in SHIPPED}
    assert {"laptop", "starter", "full"} <= set(loaded)
    assert (len(loaded["laptop"].nims), len(loaded["starter"].nims)) == (3, 2)
    assert (loaded["laptop"].gpus.total, loaded["full"].gpus.total) == (8, 16)
    assert loaded["starter"].waiting == loaded["full"].waiting == profile.Waiting()


def test_full_is_every_llm_nim_that_can_be_deployed() -> None:
    llms = [nim for nim in KNOWN.values() if nim.type is NimType.LLM]
    ready = [nim.name for nim in llms if not nim.unknown_to_deploy]
    assert load_profile("full", profile.DIRECTORY).nims == ready
    assert len(ready) < len(llms)


def test_a_profile_is_found_by_name_and_never_by_path(tmp_path: Path) -> None:
    write(tmp_path, mine=MINE)
    assert load_profile("mine", tmp_path).seed == 42
    for name in ("../mine", str(tmp_path / "mine"), ""):
        with pytest.raises(UnknownName, match="known profiles are: mine"):
            load_profile(name, tmp_path)


def test_a_folder_of_ones_own_goes_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, laptop=MINE, tight={"extends": "starter", "gpus": {"total": 1}})
    monkeypatch.setenv("FLYWHEEL_PROFILES", str(tmp_path))
    assert load_profile("laptop").description == "d"
    assert load_profile("tight").gpus.total == 1
    assert load_profile("tight").nims == load_profile("starter").nims
    assert set(profile_files()) == {*SHIPPED, "tight"}
    monkeypatch.setenv("FLYWHEEL_PROFILES", "")
    assert sorted(profile_files()) == SHIPPED
    assert load_profile("laptop").description != "d"


def test_a_fault_in_what_is_inherited_names_both_files(tmp_path: Path) -> None:
    write(tmp_path, base="description: d\nnims: [a]\ngate: {margn: 1}\n", mine={"extends": "base"})
    with pytest.raises(ConfigError, match=re.escape("profiles/mine.yaml (extends base): `gate.margn` = 1:")):
        load_profile("mine", tmp_path)


@given(st.floats(1, 1e13))
def test_what_is_left_open_is_decided_by_the_size(parameters: float) -> None:
    sized = Training().for_model(parameters)
    wanted = lora_defaults(parameters)
    assert (sized.epochs, sized.learning_rate) == (wanted.epochs, wanted.learning_rate)
    assert sized.lora.adapter_dim == wanted.adapter_dim
    said = Training(epochs=7, learning_rate=3e-5, batch_size=4, lora=Lora(adapter_dim=8, adapter_dropout=0.2))
    assert said.for_model(parameters) == said


def test_a_bigger_model_never_learns_at_a_higher_rate() -> None:
    assert lora_defaults(1e9).learning_rate == lora_defaults(13e9).learning_rate == 2e-4
    assert lora_defaults(13.1e9).learning_rate == lora_defaults(117e9).learning_rate == 1e-4
    sizes = [sized.up_to_parameters for sized in DEFAULTS]
    assert sizes == sorted(sizes)
    assert all(sized.adapter_dim & (sized.adapter_dim - 1) == 0 for sized in DEFAULTS)
