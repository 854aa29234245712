"""Live progress of a run: a table that redraws itself, or one line a change where it cannot."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from include.flywheel.evaluation.measures import primary_score
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus

_STAGES = {
    StageName.DEPLOY: "deploy",
    StageName.BASE_EVAL: "base",
    StageName.ICL_EVAL: "icl",
    StageName.CUSTOMIZE: "customize",
    StageName.CUSTOMIZED_EVAL: "customized",
}
_REFRESH_SECONDS = 0.5
_COLOURS = {
    StageStatus.COMPLETED: "green",
    StageStatus.FAILED: "red",
    StageStatus.CANCELLED: "red",
    StageStatus.RUNNING: "cyan",
    StageStatus.SKIPPED: "dim",
}


class Progress:
    """Follows one run until it is over."""

    def __init__(self, runs: RunRepository, job_id: str, console: Console) -> None:
        self._runs = runs
        self._job_id = job_id
        self._console = console
        self._started = time.monotonic()
        self._said: dict[tuple[str, str], str] = {}

    def follow(self, is_over: Callable[[], bool]) -> None:
        """Show what changes until `is_over()`."""
        if not self._console.is_terminal:
            while not is_over():
                self._say_changes()
                time.sleep(_REFRESH_SECONDS)
            self._say_changes()
            return
        with Live(self._table(), console=self._console, auto_refresh=False) as live:
            while not is_over():
                live.update(self._table(), refresh=True)
                time.sleep(_REFRESH_SECONDS)
            live.update(self._table(), refresh=True)

    def _documents(self) -> tuple[RunDocument | None, list[NimDocument]]:
        return self._runs.find(self._job_id), self._runs.nims(self._job_id)

    def _say_changes(self) -> None:
        run, nims = self._documents()
        if run is None:
            return
        self._say("run", "status", run.status.value)
        if run.dataset is not None:
            self._say("run", "data set", f"{run.dataset['ledger']['records_read']} records read")
        if run.reference is not None:
            self._say(run.reference.model, "reference", _words(run.reference.stage))
        for nim in nims:
            for stage, label in _STAGES.items():
                if stage in nim.stages:
                    self._say(nim.nim, label, _words(nim.stages[stage]))

    def _say(self, who: str, what: str, words: str) -> None:
        if self._said.get((who, what)) == words:
            return
        self._said[(who, what)] = words
        line = f"  {self._elapsed():6.1f} s  {who:<32} {what:<11} {words}"
        self._console.print(line, highlight=False, markup=False)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _table(self) -> Table:
        run, nims = self._documents()
        status = "starting" if run is None else run.status.value
        table = Table(
            title=f"{status}, {self._elapsed():.0f} s", title_justify="left", box=None, pad_edge=True
        )
        table.add_column("")
        for label in _STAGES.values():
            table.add_column(label)
        if run is not None and run.reference is not None:
            table.add_row(f"{run.reference.model} (production)", "", _coloured(run.reference.stage))
        for nim in nims:
            table.add_row(nim.nim, *(_coloured(nim.stages.get(stage, Stage())) for stage in _STAGES))
        return table


def _words(stage: Stage) -> str:
    parts: list[str] = [stage.status.value]
    if stage.progress_percent is not None and not stage.status.is_over:
        parts.append(f"{stage.progress_percent:.0f} %")
    if stage.scores:
        parts += [f"{name} {value:.1%}" for name, value in sorted(stage.scores.items())]
    if stage.error:
        parts.append(stage.error)
    return ", ".join(parts)


def _coloured(stage: Stage) -> str:
    text = stage.status.value
    if stage.progress_percent is not None and not stage.status.is_over:
        text += f" {stage.progress_percent:.0f} %"
    primary = primary_score(stage.scores)
    if primary is not None:
        text = f"{primary:.1%}"
    colour = _COLOURS.get(stage.status)
    return f"[{colour}]{text}[/]" if colour else text
