"""The catalogue as the next run sees it, behind the connection `flywheel_runs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.database import Database

from include.flywheel.config.nims import load_catalogue
from include.flywheel.errors import ConfigError
from include.stores.nims import effective_catalogue, open_nim_overrides


def test_the_catalogue_is_the_file_with_the_overrides_over_it(
    connection: Callable[..., None], mongo_uri: str, mongo_database: Database[dict[str, Any]]
) -> None:
    place = urlsplit(mongo_uri)
    connection(
        "flywheel_runs",
        conn_type="mongo",
        host=place.hostname,
        port=place.port,
        login=place.username,
        password=place.password,
        schema=mongo_database.name,
    )
    known = load_catalogue()
    assert effective_catalogue() == known
    first = next(iter(known.values()))
    open_nim_overrides().change(first, {"enabled": False}, version=0, by="ada")
    assert mongo_database["nim_overrides"].count_documents({"_id": first.name}) == 1
    after = effective_catalogue()
    assert not after[first.name].enabled
    assert {name: nim for name, nim in after.items() if name != first.name} == {
        name: nim for name, nim in known.items() if name != first.name
    }


def test_without_its_connection_it_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"'flywheel_runs' .* is not configured"):
        effective_catalogue()
