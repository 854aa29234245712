"""`feedback dashboard`: what users think, redrawn now and then; a database that restarts does not end it."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.live import Live

from include.cli.feedback_frame import Trouble, frame
from include.cli.feedback_overview import Overview, read_overview
from include.cli.feedback_place import place_of
from include.flywheel.errors import ConfigError
from include.flywheel.feedback.pool import AWAY
from include.stores.feedback import FeedbackPlace

_REDRAW_SECONDS = 0.25
"""How soon a new width of the terminal shows."""


def dashboard(options: argparse.Namespace) -> int:
    """Draw until interrupted; with `--once` one frame, exit code 1 where the database does not answer."""
    place, console = place_of(options), Console()
    watch = Watch(place)
    if options.once:
        watch.read()
        console.print(watch.frame(console.width))
        return 1 if watch.trouble is not None else 0
    if not console.is_terminal:
        # Nothing can be redrawn there: frame after frame.
        follow(watch, options.interval, console.print, console)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        follow(watch, options.interval, lambda shown: live.update(shown, refresh=True), console)
    return 0


def follow(
    watch: Watch, interval_seconds: float, draw: Callable[[RenderableType], None], console: Console
) -> None:
    """Read every so often and draw what was read; draw again where the terminal has another width."""
    while True:
        watch.read()
        width, until = console.width, time.monotonic() + interval_seconds
        draw(watch.frame(width))
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _REDRAW_SECONDS))
            if console.width != width:
                width = console.width
                draw(watch.frame(width))


class Watch:
    """The last overview, and what is wrong since when."""

    def __init__(self, place: FeedbackPlace) -> None:
        self._place = place
        self.overview: Overview | None = None
        self.trouble: Trouble | None = None

    def read(self) -> None:
        """Read anew; what fails is kept to be shown."""
        try:
            self.overview = asyncio.run(read_overview(self._place))
        except (*AWAY, TimeoutError, ConfigError) as error:
            since = datetime.now(UTC) if self.trouble is None else self.trouble.since
            self.trouble = Trouble(since, f"{type(error).__name__}: {error}".strip(": "))
        else:
            self.trouble = None

    def frame(self, width: int) -> RenderableType:
        """What is known, as wide as that."""
        return frame(self.overview, self.trouble, width)
