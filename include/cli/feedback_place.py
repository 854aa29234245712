"""Where the feedback database is, by options, the environment, or the connection."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from datetime import UTC, datetime

from include.stores.feedback import FeedbackPlace, find_place

_OPTIONS = ("host", "port", "database", "user")


def add_database(parser: argparse.ArgumentParser) -> None:
    """The options of a command that asks the database. The password is none of them: others see these."""
    group = parser.add_argument_group(
        "database",
        "else POSTGRES_HOST, _PORT, _DB, _USER, or connection flywheel_feedback; the password is "
        "POSTGRES_PASSWORD or the connection's",
    )
    group.add_argument("--host")
    group.add_argument("--port", type=int)
    group.add_argument("--database", metavar="NAME")
    group.add_argument("--user")


def place_of(options: argparse.Namespace) -> FeedbackPlace:
    """The place: what the options say, over the environment or the connection. Raises ConfigError."""
    said = {name: getattr(options, name) for name in _OPTIONS if getattr(options, name) is not None}
    if "host" in said:
        # Who names a host means no other database; what else the environment says goes with it.
        return replace(find_place(os.environ | {"POSTGRES_HOST": said["host"]}), **said)
    return replace(find_place(), **said)


def utc_time(text: str) -> datetime:
    """A day or a time, UTC where it says nothing else; of an option, so argparse tells what is wrong."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, write it as 2026-11-20") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
