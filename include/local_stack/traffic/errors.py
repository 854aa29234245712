"""What the traffic generator raises on purpose.

TrafficError
├── UnknownWorkload    a workload that the samples do not have
└── ChatFailed         the model that answers the sample conversations did not answer
"""

from __future__ import annotations


class TrafficError(Exception):
    """Base of the generator's errors. The message names what is wrong, the value, and the remedy."""


class UnknownWorkload(TrafficError):
    """A workload that the samples do not have."""


class ChatFailed(TrafficError):
    """The model's endpoint refused, was not reached, or answered in another shape."""
