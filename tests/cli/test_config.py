"""What is wrong with a configuration file is said before a run meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from include.cli.config import main


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLYWHEEL_PROFILES", str(tmp_path))
    return tmp_path


def test_our_own_files_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert {"laptop:", "starter:", "full:", "embedding:"} <= {
        line.split()[2] for line in lines if " profile " in line
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("description: x\nnims: [meta/llama-3.2-1b-instruct]\ngate: {margn: 0.1}\n", ["mine.yaml", "margn"]),
        ("description: x\nnims: [meta/llama-9]\n", ["meta/llama-9"]),
        ("extends: nowhere\n", ["nowhere", "starter"]),
        ("description: x\nextends: starter\ngpus: {total: 0}\n", ["mine.yaml", "gpus.total", "0"]),
        (
            "description: x\nextends: starter\ngpus: {total: 1}\nnims: [meta/llama-3.1-70b-instruct]\n",
            ["needs 4 GPUs", "'mine'", "raise it"],
        ),
    ],
    ids=["unknown key", "unknown NIM", "unknown parent", "wrong value", "too few GPUs"],
)
def test_a_bad_profile_is_named_with_what_to_do_and_the_others_are_still_read(
    profiles: Path, capsys: pytest.CaptureFixture[str], text: str, said: list[str]
) -> None:
    (profiles / "mine.yaml").write_text(text)
    assert main(["check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    [bad] = [line for line in lines if not line.startswith("ok ")]
    assert bad.startswith("error  profile mine: ")
    assert all(words in bad for words in said), bad
    assert main(["check", "starter"]) == 0


def test_a_workload_whose_profile_nobody_knows_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text("client_id: acme\nworkload_id: desk\nprofile: huge\n")
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    assert main(["check"]) == 1
    [bad] = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("ok ")]
    assert bad.startswith("error  workloads: acme / desk: `profile`: ")
    assert "'huge'; known profiles are:" in bad


def test_a_profile_is_shown_with_nothing_left_open(
    profiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (profiles / "mine.yaml").write_text(
        "description: Ours.\nextends: starter\ntraining: {epochs: 7}\nnims: [meta/llama-3.2-1b-instruct]\n"
    )
    assert main(["show", "mine"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["profile"], shown["description"], shown["gpus"]) == ("mine", "Ours.", {"total": 2})
    [nim] = shown["nims"]
    training = nim["customization"]["training"]
    assert training["epochs"] == 7
    assert training["learning_rate"] > 0
    assert training["lora"]["adapter_dim"] > 0


def test_an_unknown_profile_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "nothing"]) == 1
    told = capsys.readouterr().err
    assert "'nothing'" in told
    assert "laptop" in told
