"""What is scheduled: NIMs with the GPUs that they need and the time that each of their stages takes.

Durations are the published ones (deployment 4 minutes, evaluation 6 to 8, customization 6.5 to 16), 1 : 60,
in milliseconds, so that schedules add up exactly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

NIMS = (1, 3, 5, 10, 20)
BUDGETS = (1, 2, 4, 8, 16, None)
SHAPES = ("small", "mixed")

_DEPLOY_MS = 4_000
_EVALUATION_MS = (6_000, 8_000)
_TRAINING_MS = (6_500, 16_000)
_STEP_MS = 100


@dataclass(frozen=True)
class Nim:
    """One NIM. `train_gpus` are held while it trains, `serve_gpus` from deployment to the last evaluation."""

    slug: str
    train_gpus: int
    serve_gpus: int
    training_ms: int
    deploy_ms: int
    base_ms: int
    icl_ms: int
    customized_ms: int

    @property
    def critical_path_ms(self) -> int:
        """The shortest time from the start to the last evaluation, with GPUs for everything at once."""
        return self.served_until(self.training_ms, 0)

    @property
    def shortest_serving_ms(self) -> int:
        """How long its deployment lasts at least."""
        return self.deploy_ms + max(self.base_ms, self.icl_ms, self.customized_ms)

    @property
    def gpu_ms(self) -> int:
        """GPU time that it takes at least."""
        return self.train_gpus * self.training_ms + self.serve_gpus * self.shortest_serving_ms

    def served_until(self, trained_ms: int, serving_ms: int) -> int:
        """When the last evaluation ends, of a training that ends and a deployment that begins then."""
        deployed = serving_ms + self.deploy_ms
        return max(deployed + max(self.base_ms, self.icl_ms), max(deployed, trained_ms) + self.customized_ms)

    def latest_serving(self, trained_ms: int) -> int:
        """When its deployment may begin at the latest without being the reason for a later end."""
        evaluated = max(self.base_ms, self.icl_ms)
        return trained_ms - self.deploy_ms - max(0, evaluated - self.customized_ms)


def instance(nims: int, seed: int, shape: str, gpus: int | None) -> tuple[Nim, ...]:
    """The NIMs of one benchmark; durations depend on the seed alone.

    `small`: everything on one GPU. `mixed`: 1, 2 or 4 GPUs to train and 1 or 2 to serve, at most as many as
    there are.
    """
    draw = random.Random(seed)
    drawn = [_draw(number, draw) for number in range(nims)]
    if shape == "small":
        return tuple(replace(nim, train_gpus=1, serve_gpus=1) for nim in drawn)
    most = gpus or max(BUDGETS[:-1])
    return tuple(
        replace(nim, train_gpus=min(nim.train_gpus, most), serve_gpus=min(nim.serve_gpus, most))
        for nim in drawn
    )


def _draw(number: int, draw: random.Random) -> Nim:
    def between(span: tuple[int, int]) -> int:
        return draw.randrange(span[0], span[1] + 1, _STEP_MS)

    return Nim(
        slug=f"nim-{number:02}",
        train_gpus=draw.choice((1, 1, 2, 4)),
        serve_gpus=draw.choice((1, 1, 2)),
        training_ms=between(_TRAINING_MS),
        deploy_ms=_DEPLOY_MS,
        base_ms=between(_EVALUATION_MS),
        icl_ms=between(_EVALUATION_MS),
        customized_ms=between(_EVALUATION_MS),
    )
