"""No name leads out of the export root."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.flywheel.errors import ConfigError, ExportRefused
from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.export.names import checked_name, inside_project

REFUSED = [
    "", "/", ".", "..", "../a", "a/../b", "a/..", "/etc/passwd", "//a", "a//b", "a/", "./a", "~/a", "~root",
    "a\\b", "..\\a", "C:\\a", "C:/a", "\\\\host\\share", "file:///etc/passwd", "s3://bucket/a", "http://x/a",
    "a\x00b", "a\nb", "a\x7fb", "%2e%2e/a", "a?b", "a*b", "-rf", ".hidden", "a/.hidden", "a ", "a.", "a/b .",
    "ä", "\u2025/a", "\uff0e\uff0e/a", "\u202ea", ".jsonl", "a.kto", "a.kto.jsonl", "a.manifest", "x/a.nemo",
    "a" * 151, "a/" * 250 + "a", "$HOME/a", "`id`", "a|b", "a;b", "a'b",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_name_that_could_lead_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(ExportRefused, match="`output_path`"):
        checked_name(text)


@pytest.mark.parametrize("text", ["a", "weekly/2026-11-20.jsonl", "a.b-c_d", "run 7 @acme", "0/1/2.jsonl"])
def test_a_plain_name_is_taken_with_its_suffix_or_without(text: str) -> None:
    name = checked_name(text)
    assert name.sft == text.removesuffix(".jsonl") + ".jsonl"
    assert len({name.sft, name.kto, name.dpo, name.nemo, name.manifest}) == 5


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
@example("desk", "Desk")
@example("a/b", "a")
@example("..", ".")
def test_each_project_has_a_folder_of_its_own(one: str, other: str) -> None:
    names = {checked_name(inside_project(project, "a/b.jsonl")).sft for project in (one, other)}
    assert all(re.fullmatch(r"projects/[^/]+/a/b\.jsonl", name) for name in names)
    assert len(names) == len({one, other})


def test_a_digest_cannot_be_taken_for_a_project() -> None:
    taken = inside_project("a/b", "x").split("/")[1]
    assert inside_project(taken, "x") != inside_project("a/b", "x")


_PIECES = st.sampled_from(["..", ".", "/", "\\", "a", "b.jsonl", "~", "%2e", "\0", ":", "//", "C:", " ", "é"])
_HOSTILE = st.one_of(st.text(max_size=30), st.lists(_PIECES, max_size=8).map("".join))


@given(_HOSTILE)
def test_whatever_is_written_stays_in_the_root(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    above = tmp_path_factory.getbasetemp() / "hostile"
    folder = LocalFolder(above / "root")
    before = set(above.rglob("*"))
    try:
        name = checked_name(text).sft
        writing = folder.write(name)
    except ExportRefused:
        assert set(above.rglob("*")) == before
        return
    writing.file.write(b"x")
    writing.publish()
    place = Path(os.path.normpath(above / "root" / name))
    assert place.is_relative_to(above / "root")
    assert place.read_bytes() == b"x"
    assert list(above.iterdir()) == [above / "root"]


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.jsonl").write_text("theirs")
    (root / "way").symlink_to(outside)
    (root / "deep").mkdir()
    (root / "deep" / "up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    folder = LocalFolder(root)
    for name in ("way/a.jsonl", "deep/up/a.jsonl", "loop/a.jsonl"):
        with pytest.raises(ExportRefused, match=re.escape(name)):
            folder.write(name)
    assert [path.name for path in outside.iterdir()] == ["secret.jsonl"]


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_text("theirs")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.jsonl").symlink_to(target)
    writing = LocalFolder(root).write("a.jsonl")
    writing.file.write(b"ours")
    writing.publish()
    assert target.read_text() == "theirs"
    assert not (root / "a.jsonl").is_symlink()
    assert (root / "a.jsonl").read_bytes() == b"ours"


def test_a_root_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    LocalFolder(tmp_path / "root").write("x/a.jsonl").publish()
    assert (tmp_path / "disk" / "x" / "a.jsonl").exists()


def test_folders_and_files_in_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "taken.jsonl").mkdir()
    (tmp_path / "file").touch()
    for name in ("taken.jsonl", "file/a.jsonl"):
        with pytest.raises(ExportRefused):
            LocalFolder(tmp_path).write(name)
    with pytest.raises(ConfigError, match="FLYWHEEL_EXPORT_ROOT"):
        LocalFolder(tmp_path / "file")


def test_what_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    writing = folder.write("a.jsonl")
    writing.file.write(b"half")
    assert not (tmp_path / "a.jsonl").exists()
    writing.discard()
    writing.discard()
    assert list(tmp_path.iterdir()) == []
    folder.remove("a.jsonl")
