"""What sellers ask for the models of the NIM catalogue, from `prices.yaml`."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from pydantic import Field

from include.flywheel.config.base import StrictModel, read_yaml, validate

PRICES = Path(__file__).parent / "prices.yaml"
# Names another price table, for example one that a deployment mounts.
PRICES_VARIABLE = "FLYWHEEL_PRICES"


class _Offer(StrictModel):
    seller: str = Field(min_length=1)
    input_usd: float = Field(ge=0, allow_inf_nan=False)
    output_usd: float = Field(ge=0, allow_inf_nan=False)


class Price(_Offer):
    """USD for a million tokens, at one seller on one day."""

    dated: date
    source: str = Field(min_length=1, description="Where the price was read.")


class _PriceTable(StrictModel):
    dated: date
    source: str = Field(min_length=1)
    prices: dict[str, list[_Offer]] = Field(description="By NIM.")


def load_prices(path: Path | None = None) -> dict[str, list[Price]]:
    """Prices by NIM, in the table's order: the first is the one to reckon with.

    From `path`, else from the file that FLYWHEEL_PRICES names, else our own. Raises ConfigError for a bad
    file.
    """
    path = path or Path(os.environ.get(PRICES_VARIABLE) or PRICES)
    table = validate(_PriceTable, read_yaml(path), path.name)
    return {
        name: [Price(**offer.model_dump(), dated=table.dated, source=table.source) for offer in offers]
        for name, offers in table.prices.items()
    }
