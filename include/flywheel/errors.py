"""Everything the domain raises on purpose.

FlywheelError
├── ConfigError            a conf, profile, workload or catalogue entry that cannot be used
│   ├── ExportRefused      a name for an export that leaves the export root
│   ├── MigrationError     a database that cannot be brought to this program's schema
│   └── UnknownName        a client, workload, profile or NIM that nobody configured
├── DataError              records or files that cannot become a dataset
│   ├── NoRecords          the log store holds nothing for this workload
│   └── NotEnoughRecords   fewer usable records than the split needs
├── DecisionError          scores that cannot be compared
├── DeliveryError          a notification that the application did not accept
├── FeedbackError          feedback that cannot be stored as asked
│   ├── FeedbackNotFound   no such row, or not of the caller's project
│   └── KeyReused          an idempotency key that came with another body before
├── LeaseRefused           a request for GPUs that can never be granted
└── StateError             a run document that is missing or contradicts what is asked
    └── StaleVersion       a document that somebody else changed since it was read
"""

from __future__ import annotations


class FlywheelError(Exception):
    """Base of the domain's errors. The message names what is wrong, the value, and the remedy."""


class ConfigError(FlywheelError):
    """A configuration value that cannot be used."""


class ExportRefused(ConfigError):
    """A name for an export that is no plain name inside the export root."""


class UnknownName(ConfigError):
    """A name that no configuration file knows."""


class MigrationError(ConfigError):
    """A database whose schema does not fit this program; the message names the migration."""


class DataError(FlywheelError):
    """Records or files that cannot become a dataset."""


class NoRecords(DataError):
    """The log store holds nothing for this client and workload."""


class NotEnoughRecords(DataError):
    """Fewer usable records than the split needs; the message says how many are missing."""


class DecisionError(FlywheelError):
    """Scores that cannot be compared, for example of different items."""


class DeliveryError(FlywheelError):
    """A notification that was not accepted."""


class FeedbackError(FlywheelError):
    """Feedback that cannot be stored or changed as asked."""


class FeedbackNotFound(FeedbackError):
    """No feedback of that id, or not of the caller's project."""


class KeyReused(FeedbackError):
    """An idempotency key that came with another body before."""


class LeaseRefused(FlywheelError):
    """A request for GPUs that can never be granted: too large, or of a NIM that was taken down."""


class StateError(FlywheelError):
    """A run document that is missing, or that contradicts what is asked of it."""


class StaleVersion(StateError):
    """A document that somebody else changed since it was read; the message names both versions."""
