"""What a workload asks of its model: tool calls, text, or one of a few labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from include.flywheel.datasets.reasons import Reason

TOOL_SHARE = 0.25
"""A workload is tool calling when at least this share of its valid records calls a tool."""

LABEL_CHARS = 64
"""A longer answer is no label."""

LABEL_SHARE = 0.9
"""A workload of texts is classification when at least this share of the answers are labels …"""

RECORDS_A_LABEL = 10
"""… and each label was given this often in the mean …"""

MAX_LABELS = 500
"""… and there are no more labels than this."""

RETRIEVAL = "retrieval"
"""What the data set of an embedding job is; it is no `kind` of a workload, for the job says it."""


class Kind(StrEnum):
    """The kind of a workload."""

    TOOL_CALLING = "tool_calling"
    CHAT = "chat"
    CLASSIFICATION = "classification"

    @property
    def words(self) -> str:
        """The kind for people."""
        return self.value.replace("_", " ")


class Form(IntEnum):
    """What one record is."""

    PLAIN_TEXT = 0
    """Offers no tools, answers in text."""
    DECLINED = 1
    """Offers tools, answers in text."""
    CALL = 2
    """Calls a tool."""
    PLAIN_LABEL = 3
    """Offers no tools, answers with a short text on one line."""
    DECLINED_LABEL = 4
    """Offers tools, answers with a short text on one line."""


_LEFT_OUT: Mapping[Kind, Mapping[Form, Reason]] = {
    Kind.TOOL_CALLING: {
        Form.PLAIN_TEXT: Reason.OFFERS_NO_TOOLS,
        Form.PLAIN_LABEL: Reason.OFFERS_NO_TOOLS,
    },
    Kind.CHAT: {Form.CALL: Reason.CALLS_A_TOOL},
    Kind.CLASSIFICATION: {
        Form.CALL: Reason.CALLS_A_TOOL,
        Form.PLAIN_TEXT: Reason.NO_LABEL,
        Form.DECLINED: Reason.NO_LABEL,
    },
}


def left_out(kind: Kind, form: Form) -> Reason | None:
    """Why a record of that form is in no set of a workload of that kind; None when it belongs there."""
    return _LEFT_OUT[kind].get(form)


def form_of(content: str, *, calls: bool, tools: bool) -> Form:
    """The form of a record by its answer and by whether it offers tools."""
    if calls:
        return Form.CALL
    if label_of(content) is not None:
        return Form.DECLINED_LABEL if tools else Form.PLAIN_LABEL
    return Form.DECLINED if tools else Form.PLAIN_TEXT


def label_of(content: str) -> str | None:
    """The label that an answer is: a short text on one line, without space around it; else None."""
    if len(content) > LABEL_CHARS + 8:
        return None
    label = content.strip()
    return label if label and len(label) <= LABEL_CHARS and "\n" not in label else None


@dataclass(frozen=True, slots=True)
class KindFound:
    """The kind of a workload, and why it is that."""

    kind: Kind
    because: str


def find_kind(forms: Mapping[Form, int], labels: int | None) -> KindFound:
    """The kind by the shares of the records.

    :param forms: valid records of each form.
    :param labels: different labels among them; None when there are more than MAX_LABELS.
    """
    total = sum(forms.values())
    calls = forms.get(Form.CALL, 0)
    called = f"{_percent(calls, total)} of {total:,} valid records call a tool"
    if total and calls >= TOOL_SHARE * total:
        return KindFound(Kind.TOOL_CALLING, called)
    texts = total - calls
    short = forms.get(Form.PLAIN_LABEL, 0) + forms.get(Form.DECLINED_LABEL, 0)
    is_label = labels is not None and 2 <= labels <= short / RECORDS_A_LABEL
    if texts and is_label and short >= LABEL_SHARE * texts:
        return KindFound(
            Kind.CLASSIFICATION,
            f"{called}; {_percent(short, texts)} of the answers are one of {labels} labels",
        )
    return KindFound(Kind.CHAT, f"{called}; the answers are texts")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
