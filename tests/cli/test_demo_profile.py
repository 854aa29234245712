"""Any profile can be tried on the stand-in: it gets its GPUs, and nobody waits as for real services."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.cli.demo_profile import stand_in_for
from include.flywheel.config.profile import Waiting, load_profile, profile_files
from include.flywheel.errors import UnknownName


@pytest.mark.parametrize(("name", "gpus"), [("full", "16"), ("laptop", "8"), ("starter", "2")])
def test_the_profile_keeps_all_but_its_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, gpus: str
) -> None:
    before, known, laptop = load_profile(name), set(profile_files()), load_profile("laptop")
    like = stand_in_for(name, tmp_path / "profiles")
    assert like.nemo_options == ["--gpus", gpus]
    for variable, value in like.environment.items():
        monkeypatch.setenv(variable, value)
    after = load_profile(name)
    assert after.model_dump(exclude={"waiting"}) == before.model_dump(exclude={"waiting"})
    assert after.waiting == laptop.waiting != Waiting()
    assert set(profile_files()) == known


def test_a_profile_of_ones_own_is_kept_and_may_have_no_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("extends: laptop\ngpus: {total: null}\nseed: 5\n")
    monkeypatch.setenv("FLYWHEEL_PROFILES", str(tmp_path))
    like = stand_in_for("mine", tmp_path / "profiles")
    assert like.nemo_options == []
    monkeypatch.setenv("FLYWHEEL_PROFILES", like.environment["FLYWHEEL_PROFILES"])
    assert (load_profile("mine").seed, load_profile("mine").gpus.total) == (5, None)


def test_an_unknown_profile_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"known profiles are: .*full, laptop"):
        stand_in_for("none", tmp_path / "profiles")
    assert not (tmp_path / "profiles").exists()
