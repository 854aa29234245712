"""What an export says about itself."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from include.flywheel.feedback.export.lines import METADATA, UNCORRECTED_MARK
from include.flywheel.feedback.export.spec import ExportSpec

SCHEMA_VERSION = 1


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExportedFile(_Document):
    """One file as it was written. `records` = the rows kept less those left out of this file, or the copies
    that were made of them.
    """

    name: str
    records: int = Field(ge=0, description="Lines.")
    bytes: int = Field(ge=0)
    sha256: str
    left_out: dict[str, int] = Field(default={}, description="Kept rows without a line here, by reason.")
    line_schema: dict[str, Any] = Field(description="JSON Schema of a line.")


class ExportCounts(_Document):
    """Every row read is in exactly one of `kept` and `filtered`."""

    rows_read: int = Field(ge=0)
    kept: int = Field(ge=0)
    filtered: dict[str, int] = Field(description="Rows in no file, by reason.")
    positive_samples: int = Field(ge=0, description="Thumbs-up in the weighted file.")
    negative_samples: int = Field(ge=0, description="Thumbs-down in it, corrected or not.")
    corrected_samples: int = Field(ge=0, description="Of these, with the user's expected answer as target.")
    uncorrected_negative_samples: int = Field(
        ge=0, description="Of these, disliked answers that are their own target."
    )
    uncorrected_negatives_left_out: int = Field(ge=0, description="Kept rows that the setting excludes.")
    total_weight: float = Field(ge=0)

    @property
    def total_samples(self) -> int:
        """Rows in the weighted file, or that would be in it where it is not written."""
        return self.positive_samples + self.negative_samples

    @property
    def filtered_out_samples(self) -> int:
        """Rows read that are not in the weighted file."""
        return self.rows_read - self.total_samples


class Manifest(_Document):
    """The file `<name>.manifest.json`. It is written last: where it stands, the files beside it are whole."""

    schema_version: int = SCHEMA_VERSION
    created_at: AwareDatetime
    output_path: str = Field(description="The name below the export root.")
    spec: ExportSpec
    counts: ExportCounts
    files: list[ExportedFile]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by file."""
        return {file.name: file.sha256 for file in self.files}


def _message(role: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"role": {"const": role}, "content": {"type": "string"}},
        "required": ["role", "content"],
        "additionalProperties": False,
    }


def _array(*roles: str) -> dict[str, Any]:
    return {"type": "array", "prefixItems": [_message(role) for role in roles], "items": False}


def _line(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TEXT_OR_NULL = {"type": ["string", "null"]}
_METADATA = {
    "type": "object",
    "properties": {
        **dict.fromkeys(METADATA, _TEXT_OR_NULL),
        "model": {"type": "string"},
        "rating": {"enum": [1, -1]},
        "timestamp": {"type": "string", "format": "date-time"},
        UNCORRECTED_MARK: {"const": True},
    },
    "required": list(METADATA),
    "additionalProperties": False,
}
SFT_SCHEMA = _line(
    {
        "messages": _array("user", "assistant"),
        "weight": {"type": "number", "exclusiveMinimum": 0},
        "metadata": _METADATA,
    }
)
KTO_SCHEMA = _line(
    {
        "prompt": _array("user"),
        "completion": _array("assistant"),
        "label": {"type": "boolean"},
        "metadata": _METADATA,
    }
)
DPO_SCHEMA = _line(
    {
        "prompt": _array("user"),
        "chosen": _array("assistant"),
        "rejected": _array("assistant"),
        "metadata": _METADATA,
    }
)
NEMO_SCHEMA = _line({"messages": _array("user", "assistant")})
