"""What can keep the local stack from starting.

StackError
├── PortTaken        another program listens where a service should
├── StackRunning     a stack runs in this folder already
├── ToolMissing      a program that the stack runs is not installed
└── ServiceDied      a service ended or never became ready; names its log
"""

from __future__ import annotations


class StackError(Exception):
    """Base: the message says what to do."""


class PortTaken(StackError):
    """A port is in use."""


class StackRunning(StackError):
    """A stack runs in this folder already."""


class ToolMissing(StackError):
    """A program is not installed."""


class ServiceDied(StackError):
    """A service ended, or was not ready in time."""
