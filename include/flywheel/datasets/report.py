"""What a run keeps about its dataset: the ledger, the files, what is in each set, and what they share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.feedback.report import FeedbackReport
from include.flywheel.datasets.icl.report import IclReport
from include.flywheel.datasets.ledger import RunLedger


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FileReport(_Document):
    """One file as it was written."""

    name: str
    records: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class Lengths(_Document):
    """How long the training rows of a set are, in bytes."""

    p50: int = Field(ge=0)
    p95: int = Field(ge=0)
    max: int = Field(ge=0)


class SetReport(_Document):
    """What is in one of the sets train, val, eval. Times are Unix milliseconds."""

    records: int = Field(ge=0)
    conversations: int = Field(ge=0)
    labels: dict[str, int] = Field(description="Records by what the split is stratified by.")
    first_timestamp_ms: int | None
    last_timestamp_ms: int | None
    row_bytes: Lengths | None = Field(description="null: the set is empty.")


class ConversationsReport(_Document):
    """How the steps of conversations were found."""

    conversations: int = Field(ge=0)
    by_session: int = Field(ge=0, description="By `session_id`.")
    by_messages: int = Field(
        ge=0,
        description="Without it: of several steps, one request's messages being the beginning of another's.",
    )
    by_likeness: int = Field(
        default=0, ge=0, description="Of embedding jobs: groups of near-identical queries."
    )
    single: int = Field(ge=0, description="Without it: of one step.")
    largest: int = Field(ge=0, description="Records of the largest.")


class Overlap(_Document):
    """Shared by two sets, measured over the rows that were written. All zero in a fair split."""

    requests: dict[str, int] = Field(description="Requests that are in both sets.")
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
    agreement_name: float | None = Field(default=None, description="Same tools called, or same text, 0..1.")
    agreement_name_and_args: float | None = Field(default=None, description="Same calls, or same text, 0..1.")


class IclReports(_Document):
    """The ICL files, one for each context length; and why there is none for some."""

    written: list[IclReport] = Field(default_factory=list)
    likeness: str | None = Field(
        default=None, description="By what examples were called like an item; null: likeness chose none."
    )
    likeness_note: str | None = Field(
        default=None, description="Why it is not the embedding model that was configured."
    )
    impossible: dict[str, str] = Field(
        default_factory=dict, description="Context length, tokens: why no item can carry an example."
    )


class RetrievalReport(_Document):
    """What the triplets of an embedding job are made of."""

    documents: int = Field(ge=0, description="Different documents in the log.")
    corpus: int = Field(ge=0, description="Of these, the ones that the evaluation searches.")
    judged: int = Field(ge=0, description="Documents that the holdout's queries used, counted by query.")
    negatives: dict[str, int] = Field(description="Negatives of the training rows, by where they come from.")
    without_negatives: int = Field(ge=0, description="Training rows for which none was found.")
    groups: int = Field(ge=0, description="Groups of near-identical queries, of one query or more.")


class DatasetReport(_Document):
    """Everything that a run, its report and its reader need to know about a dataset."""

    kind: str
    kind_because: str = Field(description="Why the workload is of that kind.")
    seed: int
    strategy: str
    stratified_by: str
    ledger: RunLedger
    grouping: ConversationsReport
    files: list[FileReport]
    digest: str = Field(description="SHA-256 over the sorted names and digests of the files.")
    train: SetReport
    val: SetReport
    eval: SetReport
    overlap: Overlap
    repeated: RepeatedRequests
    icl: IclReports
    retrieval: RetrievalReport | None = Field(default=None, description="Of embedding jobs alone.")
    feedback: FeedbackReport | None = Field(
        default=None, description="Where feedback was read.", exclude_if=lambda found: found is None
    )
    first_timestamp_ms: int = Field(description="Oldest usable record, Unix milliseconds.")
    last_timestamp_ms: int = Field(description="Newest usable record, Unix milliseconds.")

    def file(self, name: str) -> FileReport:
        """The file of that name; KeyError when it was not written."""
        for file in self.files:
            if file.name == name:
                return file
        raise KeyError(name)
