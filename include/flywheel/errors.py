"""Everything the domain raises on purpose.

FlywheelError
├── ConfigError            a conf, profile, workload or catalogue entry that cannot be used
│   └── UnknownName        a client, workload, profile or NIM that nobody configured
├── DataError              records or files that cannot become a dataset
│   ├── NoRecords          the log store holds nothing for this workload
│   └── NotEnoughRecords   fewer usable records than the split needs
├── DecisionError          scores that cannot be compared
├── DeliveryError          a notification that the application did not accept
├── LeaseRefused           a request for GPUs that can never be granted
└── StateError             a run document that is missing or contradicts what is asked
"""

from __future__ import annotations


class FlywheelError(Exception):
    """Base of the domain's errors. The message names what is wrong, the value, and the remedy."""


class ConfigError(FlywheelError):
    """A configuration value that cannot be used."""


class UnknownName(ConfigError):
    """A name that no configuration file knows."""


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


class LeaseRefused(FlywheelError):
    """A request for GPUs that can never be granted: too large, or of a NIM that was taken down."""


class StateError(FlywheelError):
    """A run document that is missing, or that contradicts what is asked of it."""
