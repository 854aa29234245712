"""What a run keeps about its dataset: the ledger, the files, what is in each set, and what they share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.ledger import RunLedger


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FileReport(_Document):
    """One file as it was written."""

    name: str
    records: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class SetReport(_Document):
    """What is in one of the sets train, val, eval."""

    records: int = Field(ge=0)
    conversations: int = Field(ge=0)
    labels: dict[str, int] = Field(description="Records by label: the first tool called, or `no tool`.")


class Overlap(_Document):
    """Shared by two sets, measured on the rows that were written. All zero in a fair split."""

    requests: dict[str, int] = Field(description="Rows of the second set whose request is in the first.")
    conversations: dict[str, int] = Field(description="Conversations that are in both sets.")

    @property
    def none(self) -> bool:
        """True when no request and no conversation is in two sets."""
        return not any([*self.requests.values(), *self.conversations.values()])


class RepeatedRequests(_Document):
    """Requests that the log holds more than once, and how their answers agree.

    An exact copy of one call (same response id, same answer) counts once: it is no second answer. The
    agreement is the mean, over the repeated requests, of the share of pairs of answers that are equal.
    """

    requests: int = Field(default=0, ge=0, description="Distinct requests with two answers or more.")
    answers: int = Field(default=0, ge=0, description="Their answers.")
    copies: int = Field(default=0, ge=0, description="Duplicates that were copies of one call.")
    agreement_name: float | None = Field(default=None, description="Same tools called, 0..1.")
    agreement_name_and_args: float | None = Field(default=None, description="Same calls, 0..1.")


class IclReport(_Document):
    """The examples that the holdout's requests carry."""

    min: int = Field(ge=0, description="Fewest examples in one item.")
    median: float = Field(ge=0)
    max: int = Field(ge=0)
    labels: dict[str, int] = Field(description="Examples inserted, by label.")
    labels_missing: list[str] = Field(description="Labels of the training set that no item shows.")
    items_without_examples: int = Field(ge=0, description="Items that were too long and kept the base form.")
    did_not_fit: int = Field(ge=0, description="Examples that were tried and were too long for their item.")


class DatasetReport(_Document):
    """Everything that a run, its report and its reader need to know about a dataset."""

    seed: int
    ledger: RunLedger
    files: list[FileReport]
    digest: str = Field(description="SHA-256 over the sorted names and digests of the files.")
    train: SetReport
    val: SetReport
    eval: SetReport
    overlap: Overlap
    repeated: RepeatedRequests
    icl: IclReport | None
    first_timestamp_ms: int = Field(description="Oldest usable record, Unix milliseconds.")
    last_timestamp_ms: int = Field(description="Newest usable record, Unix milliseconds.")

    def file(self, name: str) -> FileReport:
        """The file of that name; KeyError when it was not written."""
        for file in self.files:
            if file.name == name:
                return file
        raise KeyError(name)
