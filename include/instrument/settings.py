"""Sizes and times of a recorder."""

from __future__ import annotations

from dataclasses import dataclass, fields

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ValueError, naming the setting, when one is not positive.

    :param max_queued_records: records that wait at most; more are dropped and counted.
    :param max_queued_bytes: about how many bytes of records wait at most.
    :param max_record_bytes: a larger record is dropped and counted.
    :param batch_records: a batch is sent when so many records wait,
    :param batch_bytes: or about so many bytes,
    :param batch_seconds: or when the oldest has waited so long.
    :param retry_first_seconds: the pause after the first failure of a sink; it doubles with each,
    :param retry_max_seconds: up to this.
    :param give_up_seconds: a batch that could not be written for so long is dropped and counted.
    :param warn_seconds: at most one warning is logged in so long.
    :param exit_seconds: how long the exit of the process waits for what is queued.
    :param max_text_chars: longer texts in messages and answers are cut; None cuts nothing.
    """

    max_queued_records: int = 10_000
    max_queued_bytes: int = 64 * _MIB
    max_record_bytes: int = 16 * _MIB
    batch_records: int = 500
    batch_bytes: int = _MIB
    batch_seconds: float = 1.0
    retry_first_seconds: float = 0.5
    retry_max_seconds: float = 30.0
    give_up_seconds: float = 300.0
    warn_seconds: float = 60.0
    exit_seconds: float = 5.0
    max_text_chars: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "max_text_chars":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"setting `{field.name}` is {value!r}; give a number above 0")
