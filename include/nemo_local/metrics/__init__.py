"""Metrics of an evaluation row, and building one from its configuration."""

from include.nemo_local.metrics.base import Metric, MetricError
from include.nemo_local.metrics.build import build
from include.nemo_local.metrics.tool_calls import ARGS_ACCURACY, NAME_ACCURACY, ToolCalling

__all__ = ["ARGS_ACCURACY", "NAME_ACCURACY", "Metric", "MetricError", "ToolCalling", "build"]
