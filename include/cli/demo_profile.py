"""A profile as the local stack runs it: enough simulated GPUs for it, and waits that fit simulated jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from include.flywheel.config.profile import DIRECTORY_VARIABLE, load_profile, profile_files

_PACE = "laptop"
"""The profile that is made for the stand-in: how often it asks, others ask too."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What the stack is started with: environment of Airflow's processes, options of the stand-in."""

    environment: dict[str, str] = field(default_factory=dict)
    nemo_options: list[str] = field(default_factory=list)


def stand_in_for(profile: str, folder: Path) -> StandIn:
    """What lets `profile` run on the stand-in; writes the profiles, with their waits changed, into `folder`.

    A stand-in's job takes seconds, and a profile for real services asks after its jobs a few times a minute.
    Everything else stays as the profile says. Raises UnknownName for a profile that is not known, ConfigError
    for a bad one.
    """
    wanted = load_profile(profile)
    pace = load_profile(_PACE)
    folder.mkdir(parents=True, exist_ok=True)
    for name in profile_files():
        paced = load_profile(name).model_copy(update={"waiting": pace.waiting})
        text = yaml.safe_dump(paced.model_dump(mode="json", exclude_unset=True), sort_keys=False)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    options = ["--gpus", str(wanted.gpus.total)] if wanted.gpus.total else []
    return StandIn({DIRECTORY_VARIABLE: str(folder)}, options)
