"""What the hook, the operators and the sensors raise besides the client's own errors (`include.nemo.errors`).

NemoTaskError
├── BadConnection     a `nemo` connection without what a call needs
├── BadParameter      an operator's parameter that the services would refuse, or that cannot be meant
└── JobFailed         the remote work ended badly, or not in time
"""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowException


class NemoTaskError(AirflowException):
    """Base: the message names the connection or the job, what is wrong, and the remedy."""


class BadConnection(NemoTaskError):
    """A `nemo` connection without what a call needs."""


class BadParameter(NemoTaskError):
    """An operator's parameter that the services would refuse, or that cannot be meant."""


class JobFailed(NemoTaskError):
    """The remote work ended badly, or not in time."""
