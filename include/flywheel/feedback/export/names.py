"""The name of an export below the export root. A name cannot lead out of the root, whatever it is."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from include.flywheel.errors import ExportRefused

MAX_PART_CHARS = 150
MAX_CHARS = 400
_MAX_FOLDER_CHARS = 100
SUFFIX = ".jsonl"
# Letters and digits first, so that no part is `.` or `..`, is hidden, or looks like an option.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+=@ -]*", re.ASCII)
_OF_OTHER_FILES = (".kto", ".dpo", ".nemo", ".manifest")


@dataclass(frozen=True, slots=True)
class ExportName:
    """A checked name without its suffix, such as `weekly/2026-11-20`."""

    stem: str

    @property
    def sft(self) -> str:
        """The weighted examples."""
        return f"{self.stem}{SUFFIX}"

    @property
    def kto(self) -> str:
        """The ratings for KTO."""
        return f"{self.stem}.kto{SUFFIX}"

    @property
    def dpo(self) -> str:
        """The pairs for DPO."""
        return f"{self.stem}.dpo{SUFFIX}"

    @property
    def nemo(self) -> str:
        """The examples for NeMo."""
        return f"{self.stem}.nemo{SUFFIX}"

    @property
    def manifest(self) -> str:
        """What is in the files; written last."""
        return f"{self.stem}.manifest.json"


def inside_project(project: str, text: str) -> str:
    """The name `text` in the folder of a project's own, which no other project's names lead into.

    A project that cannot be a folder's name stands there by its SHA-256.
    """
    plain = _PART.fullmatch(project) and len(project) <= _MAX_FOLDER_CHARS and project == project.rstrip(". ")
    is_digest = project.startswith("_=")
    folder = project if plain and not is_digest else f"_={hashlib.sha256(project.encode()).hexdigest()[:32]}"
    return f"projects/{folder}/{text}"


def checked_name(text: str) -> ExportName:
    """The name that `text` is, `.jsonl` at its end or not.

    Raises ExportRefused for anything but a plain relative name: absolute, with `..`, backslashes, a drive, a
    URL, control characters, too long, or the name of another file of an export.
    """
    if len(text) > MAX_CHARS:
        raise ExportRefused(f"`output_path` has {len(text)} characters; {MAX_CHARS} are allowed")
    stem = text.removesuffix(SUFFIX)
    for part in stem.split("/"):
        if not _PART.fullmatch(part) or len(part) > MAX_PART_CHARS or part != part.rstrip(". "):
            raise ExportRefused(
                f"`output_path` = {text!r} is no name inside the export root: {part!r} may not stand in it. "
                "Use letters, digits and `_.,+=@-`, `/` between folders, as in 'weekly/2026-11-20.jsonl'"
            )
    if stem.endswith(_OF_OTHER_FILES):
        raise ExportRefused(
            f"`output_path` = {text!r} ends like a file that exports write beside their own "
            f"({', '.join(_OF_OTHER_FILES)}); choose another name"
        )
    return ExportName(stem)
