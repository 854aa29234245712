"""The run's ledger: every record that was read is in exactly one line of it."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.errors import DataError
from include.flywheel.logs.load import LoadLedger
from include.flywheel.logs.tally import Tally


class RunLedger(BaseModel):
    """in store = older than the limit + read; read = invalid + duplicates + passages + sets + held out."""

    model_config = ConfigDict(extra="forbid")

    in_store: int = Field(ge=0, description="Raw records of this client and workload in the log store.")
    older_than_limit: int = Field(ge=0, description="Of these, left out because `limit` takes the newest.")
    records_read: int = Field(ge=0)
    invalid: dict[str, Tally] = Field(default_factory=dict, description="Rejected records by reason.")
    duplicates: int = Field(default=0, ge=0, description="Older records whose request occurs again.")
    passages: int = Field(
        default=0, ge=0, description="Of retrieval traffic, records that hold documents and no query."
    )
    train: int = Field(default=0, ge=0)
    val: int = Field(default=0, ge=0)
    eval: int = Field(default=0, ge=0)
    held_out_with_conversation: int = Field(
        default=0, ge=0, description="Other steps of a conversation in the holdout: never train."
    )
    disliked: int = Field(
        default=0,
        ge=0,
        description="Left the training split: users disliked the answer.",
        exclude_if=lambda count: not count,
    )

    @property
    def invalid_count(self) -> int:
        """Records rejected for any reason."""
        return sum(tally.count for tally in self.invalid.values())

    @property
    def usable(self) -> int:
        """Valid records, each request once."""
        return self.train + self.val + self.eval + self.held_out_with_conversation + self.disliked

    def check(self) -> None:
        """Raise DataError unless both sums add up."""
        if self.in_store != self.older_than_limit + self.records_read:
            raise DataError(
                f"the ledger does not add up: {self.in_store} records in the store, but "
                f"{self.older_than_limit} older than the limit + {self.records_read} read"
            )
        explained = self.invalid_count + self.duplicates + self.passages + self.usable
        if self.records_read != explained:
            raise DataError(
                f"the ledger does not add up: {self.records_read} records read, but "
                f"{self.invalid_count} invalid + {self.duplicates} duplicates + {self.passages} passages + "
                f"{self.usable} in sets or held out = {explained}"
            )


class HasLedger(Protocol):
    """Something that was made of the records of a run, such as a dataset's report."""

    @property
    def ledger(self) -> RunLedger:
        """Its records."""


def ledger_lines(accounted: LoadLedger | RunLedger | HasLedger) -> list[str]:
    """A ledger as aligned lines for people: the total first, then every part of it with its reasons."""
    if isinstance(accounted, LoadLedger):
        rows = _load_rows(accounted)
    else:
        rows = _run_rows(accounted if isinstance(accounted, RunLedger) else accounted.ledger)
    width = max(len(name) for name, _, _ in rows)
    digits = max(len(f"{count:,}") for _, count, _ in rows)
    return [f"{name:<{width}}  {count:>{digits},}  {note}".rstrip() for name, count, note in rows]


def _load_rows(ledger: LoadLedger) -> list[tuple[str, int, str]]:
    return [
        ("lines read", ledger.lines_read, ""),
        ("  stored", ledger.stored, ""),
        ("  stored already", ledger.already_stored, ""),
        ("  rejected", ledger.rejected_count, ""),
        *_reason_rows(ledger.rejected),
    ]


def _run_rows(ledger: RunLedger) -> list[tuple[str, int, str]]:
    return [
        ("in the log store", ledger.in_store, ""),
        ("  older than the limit", ledger.older_than_limit, ""),
        ("  read", ledger.records_read, ""),
        ("    invalid", ledger.invalid_count, ""),
        *_reason_rows(ledger.invalid, indent="      "),
        ("    duplicates", ledger.duplicates, "older records of a request that occurs again"),
        *([("    passages", ledger.passages, "documents without a query")] if ledger.passages else []),
        ("    train", ledger.train, ""),
        ("    val", ledger.val, ""),
        ("    eval", ledger.eval, ""),
        ("    held out", ledger.held_out_with_conversation, "other steps of conversations in eval"),
        *([("    disliked", ledger.disliked, "left train: a thumbs-down")] if ledger.disliked else []),
    ]


def _reason_rows(tallies: dict[str, Tally], indent: str = "    ") -> list[tuple[str, int, str]]:
    return [(f"{indent}{reason}", tally.count, f"e.g. {tally.example}") for reason, tally in tallies.items()]
