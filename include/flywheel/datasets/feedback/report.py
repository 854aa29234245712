"""What feedback did to a data set, and how users and the evaluator agree."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.errors import DataError


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Agreement(_Document):
    """How the scores of one model on the holdout agree with the thumbs that users gave the logged answers.

    A score of one half or more counts as right. An evaluator calls right what repeats the logged answer, so
    disagreement means either that the model repeats answers that users disliked, or that it departs from ones
    that they liked. It decides nothing.
    """

    nim: str
    stage: str
    score: str = Field(description="Name of the score.")
    items: int = Field(ge=1, description="Items of the holdout with a thumb and this score.")
    up_right: int = Field(ge=0)
    up_wrong: int = Field(ge=0)
    down_right: int = Field(ge=0)
    down_wrong: int = Field(ge=0)
    agreement: float = Field(description="Share of items where thumb and score say the same, 0 to 1.")
    low: float = Field(description="Lower end of its 95 % score interval (Wilson).")
    high: float
    kappa: float | None = Field(
        description="Cohen's kappa; null where all thumbs or all scores are the same."
    )
    kappa_low: float | None = Field(
        description="Lower end of its 95 % bootstrap interval, over conversations; null where kappa is, or "
        "fewer than half of the resamples have one."
    )
    kappa_high: float | None


class FeedbackReport(_Document):
    """Every row of feedback read is in exactly one count: read = superseded + not_found + left_out +
    another_answer + val + eval + held_out + liked + removed + corrected.
    """

    use: str
    read: int = Field(ge=0, description="Rows that name this workload, or a trace and no workload.")
    superseded: int = Field(ge=0, description="Older judgements of an answer that was judged again.")
    not_found: int = Field(ge=0, description="No record that was read has the trace, or the texts.")
    left_out: int = Field(ge=0, description="The judged record is invalid or of another kind.")
    another_answer: int = Field(
        ge=0, description="The judged record was a duplicate, and the newer record answers otherwise."
    )
    val: int = Field(ge=0, description="In validation: nothing changes.")
    eval: int = Field(ge=0, description="In the holdout: nothing changes.")
    held_out: int = Field(ge=0, description="In a conversation of the holdout: never trains.")
    liked: int = Field(ge=0, description="Training rows with a thumbs-up.")
    removed: int = Field(ge=0, description="Disliked answers that left the training split.")
    corrected: int = Field(ge=0, description="Disliked answers that a user's expected answer replaced.")
    unusable_corrections: int = Field(
        ge=0, description="Of those removed, with an expected answer that cannot be an answer here."
    )
    copies: int = Field(ge=0, description="Lines that thumbs-up added to the training file.")
    holdout: dict[str, int] = Field(default={}, description="Item of the holdout → its thumb, 1 or -1.")
    agreement: list[Agreement] = Field(default=[], description="Known when the run has its scores.")

    def check(self) -> None:
        """Raise DataError unless the counts add up."""
        parts = (
            *(self.superseded, self.not_found, self.left_out, self.another_answer),
            *(self.val, self.eval, self.held_out, self.liked, self.removed, self.corrected),
        )
        if self.read != sum(parts):
            raise DataError(
                f"the feedback does not add up: {self.read} rows read, but the counts make {sum(parts)}"
            )


def feedback_lines(report: FeedbackReport) -> list[str]:
    """The part of the data card about feedback."""
    unusable = f" ({report.unusable_corrections:,} with no usable correction)" * bool(
        report.unusable_corrections
    )
    copies = f" ({report.copies:,} lines added)" * bool(report.copies)
    elsewhere = report.read - sum(
        (report.liked, report.removed, report.corrected, report.val, report.eval, report.held_out)
    )
    lines = [
        f"feedback       {report.read:,} judgements, use `{report.use}`",
        f"  in train     {report.liked:,} liked{copies}, {report.removed:,} disliked ones left{unusable}, "
        f"{report.corrected:,} corrected",
        f"  unchanged    {report.eval:,} in the holdout, {report.held_out:,} held out with it, "
        f"{report.val:,} in validation",
        f"  elsewhere    {elsewhere:,}: {report.superseded:,} judged again, {report.not_found:,} not among "
        f"the records, {report.left_out:,} of records left out, {report.another_answer:,} of duplicates",
    ]
    return [*lines, *map(_agreement_line, report.agreement)]


def _agreement_line(one: Agreement) -> str:
    kappa = "" if one.kappa is None else f", kappa {one.kappa:.2f}"
    if one.kappa_low is not None and one.kappa_high is not None:
        kappa += f" [{one.kappa_low:.2f}, {one.kappa_high:.2f}]"
    return (
        f"  thumbs and {one.score} of {one.nim} {one.stage} agree on {100 * one.agreement:.1f} % "
        f"[{100 * one.low:.1f}, {100 * one.high:.1f}] of {one.items} items{kappa}"
    )
