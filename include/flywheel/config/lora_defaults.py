"""How a LoRA is trained where a profile leaves it open, by the size of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoraDefaults:
    """For models of at most `up_to_parameters`."""

    up_to_parameters: float
    adapter_dim: int
    learning_rate: float
    epochs: int


# QLoRA (Dettmers et al. 2023) trains at 2e-4, beyond 13B at 1e-4, and finds that the rank makes no difference
# once all layers are adapted: so rank and epochs are one for all sizes.
DEFAULTS = (
    LoraDefaults(up_to_parameters=13e9, adapter_dim=32, learning_rate=2e-4, epochs=2),
    LoraDefaults(up_to_parameters=math.inf, adapter_dim=32, learning_rate=1e-4, epochs=2),
)
SOURCE = (
    "The learning rates are QLoRA's (arXiv 2305.14314,\n`artidoro/qlora`); rank and epochs those of "
    "`NVIDIA-AI-Blueprints/data-flywheel`, `config/config.yaml`."
)


def lora_defaults(parameters: float) -> LoraDefaults:
    """The defaults of a model with that many parameters."""
    return next(sized for sized in DEFAULTS if parameters <= sized.up_to_parameters)
