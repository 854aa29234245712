"""Sample traffic: believable logs of a shop's two LLM applications, answered by the model that is asked."""

from include.local_stack.traffic.blemishes import NONE, Blemishes
from include.local_stack.traffic.chat import HttpChat
from include.local_stack.traffic.errors import ChatFailed, TrafficError, UnknownWorkload
from include.local_stack.traffic.generate import generate
from include.local_stack.traffic.report import NO_TOOL, TrafficReport
from include.local_stack.traffic.workloads import (
    ORDER_DESK,
    SUPPORT_AGENT,
    WORKLOADS,
    Workload,
    workload_named,
)

__all__ = [
    "NONE",
    "NO_TOOL",
    "ORDER_DESK",
    "SUPPORT_AGENT",
    "WORKLOADS",
    "Blemishes",
    "ChatFailed",
    "HttpChat",
    "TrafficError",
    "TrafficReport",
    "UnknownWorkload",
    "Workload",
    "generate",
    "workload_named",
]
