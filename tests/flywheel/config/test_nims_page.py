"""docs/nims.md says what the configuration files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.cli import nims
from include.flywheel.config.nims import CATALOGUE, read_catalogue
from include.flywheel.config.nims_page import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "nims.md"


def test_the_page_is_of_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m include.cli.nims page > docs/nims.md"


def test_every_nim_has_one_row_of_facts_with_their_sources() -> None:
    catalogue = read_catalogue(CATALOGUE)
    facts = page().split("## Notes")[0]
    for nim in catalogue.nims:
        [row] = [line for line in facts.splitlines() if line.startswith(f"| `{nim.name}` ")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 9
        assert ("?" in cells) == (
            None in (nim.gpus, nim.context_tokens, nim.image_name)
            or (nim.type.value == "llm" and nim.tool_calling is None)
        )


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert nims.main(["page"]) == 0
    assert capsys.readouterr().out == page()
