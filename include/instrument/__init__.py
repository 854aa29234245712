"""Logs an application's LLM calls where the model flywheel reads them. See docs/instrument.md."""

from .elasticsearch import ElasticsearchSink
from .files import FileSink
from .recorder import Recorder
from .settings import Settings
from .sinks import RETRY, WRITTEN, Line, Outcome, Sink, refused
from .tally import Drop, Stats
from .wrap import log_calls

__all__ = [
    "RETRY",
    "WRITTEN",
    "Drop",
    "ElasticsearchSink",
    "FileSink",
    "Line",
    "Outcome",
    "Recorder",
    "Settings",
    "Sink",
    "Stats",
    "log_calls",
    "refused",
]
