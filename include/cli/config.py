"""Commands for the configuration files: `python -m include.cli.config check|show [PROFILE]`."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml

from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.config.nims import Nim, NimType, load_catalogue
from include.flywheel.config.prices import load_prices
from include.flywheel.config.profile import load_profile, profile_files
from include.flywheel.config.workload import load_workloads
from include.flywheel.errors import ConfigError, FlywheelError

_DEFAULT = "laptop"
_EPILOG = (
    "Files of FLYWHEEL_PROFILES, FLYWHEEL_NIMS, FLYWHEEL_PRICES and FLYWHEEL_WORKLOADS are read as a run "
    "reads them."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: a file is bad, the output says which, where and what to do; 2: wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m include.cli.config", description="Profiles and what they name", epilog=_EPILOG
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="read every file, or one profile, and say what is wrong")
    check.add_argument("profile", nargs="?", help="all of them by default")
    show = commands.add_parser("show", help="print a profile with nothing left open, as YAML")
    show.add_argument("profile", nargs="?", default=_DEFAULT, help=f"{_DEFAULT} by default")
    given = parser.parse_args(arguments)
    if given.command == "check":
        return _check(given.profile)
    try:
        sys.stdout.write(_shown(given.profile))
    except FlywheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _check(profile: str | None) -> int:
    bad = 0
    for what, look in _looks(profile):
        try:
            print(f"ok     {what}: {look()}")
        except FlywheelError as error:
            bad += 1
            print(f"error  {what}: {error}")
    return 1 if bad else 0


def _looks(profile: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """What there is to look at, and how; each look says in a few words what it found."""
    if profile is None:
        yield "NIM catalogue", lambda: f"{len(load_catalogue())} NIMs"
        yield "price table", lambda: f"prices of {len(load_prices())} NIMs"
        yield "workloads", _workloads
    for name in sorted(profile_files()) if profile is None else [profile]:
        yield f"profile {name}", functools.partial(_gist, name)


def _workloads() -> str:
    """The DAGs of the workloads. Raises ConfigError also for one whose profile is not known."""
    found = load_workloads()
    for one in found:
        try:
            load_profile(one.profile)
        except ConfigError as error:
            raise ConfigError(f"{one.client_id} / {one.workload_id}: `profile`: {error}") from None
    return ", ".join(one.dag_id for one in found) or "none"


def _gist(profile: str) -> str:
    config = _resolved(profile)
    trained = sum(nim.customization is not None for nim in config.nims)
    budget = "no GPU budget" if config.gpus.total is None else f"{config.gpus.total} GPUs"
    return f"{len(config.nims)} NIMs, {trained} of them customized, {budget}"


def _resolved(profile: str) -> ResolvedConfig:
    """What a run with this profile works with. Raises FlywheelError as the run would."""
    conf = {"client_id": "any", "workload_id": "any", "config_name": profile}
    return resolve(conf | {"job_type": _job_type(profile)}, None)


def _job_type(profile: str) -> str:
    """The job that a profile is for, by the first of its NIMs: all must be of one type."""
    nim = load_catalogue().get(load_profile(profile).nims[0])
    return "embedding_job" if nim is not None and nim.type is NimType.EMBEDDING else "llm_job"


def _shown(name: str) -> str:
    config = _resolved(name)
    shown: dict[str, Any] = {"profile": name, "description": load_profile(name).description}
    of_job = {"icl", "judge"} if config.job_type == "llm_job" else {"triplets"}
    shown |= config.model_dump(mode="json", include={"job_type", "split", "gate", "gpus", "waiting", "seed"})
    shown |= config.model_dump(mode="json", include=of_job)
    shown["nims"] = [_nim(nim, config) for nim in config.nims]
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def _nim(nim: Nim, config: ResolvedConfig) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": nim.name, "gpus": nim.gpus, "context_tokens": nim.context_tokens}
    if nim.customization is None:
        return facts | {"customization": None}
    training = config.training.for_model(nim.parameters).model_dump(mode="json")
    return facts | {"customization": nim.customization.model_dump(mode="json") | {"training": training}}


if __name__ == "__main__":
    raise SystemExit(main())
