"""How much a model of a given size can do.

One number drives everything: the parameters in billions, read from the model's name. Every field of
`Capacity` grows (or stays) with it, so that a bigger model never has less to work with than a smaller one.
"""

import math
import re
from dataclasses import dataclass

UNKNOWN_SIZE_BILLION = 3.0

# Names that do not carry their size, and mixtures whose name is not the sum (contracts: published sizes).
_KNOWN_SIZES = {
    "mixtral-8x7b": 46.7,
    "mixtral-8x22b": 141.0,
    "phi-4-mini": 3.8,
    "phi-4": 14.7,
    "phi-3-mini": 3.8,
    "phi-3-small": 7.4,
    "phi-3-medium": 14.0,
    "mistral-nemo": 12.0,
    "mistral-large": 123.0,
    "mistral-small": 24.0,
    "nv-embedqa-e5-v5": 0.335,
}
_EXPERTS = re.compile(r"(?<![a-z0-9.])(\d{1,3})x(\d{1,3}(?:\.\d+)?)b(?![a-z0-9])")
_BILLIONS = re.compile(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d+)?)b(?![a-z0-9])")
_MILLIONS = re.compile(r"(?<![a-z0-9.])(\d{2,4})m(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a model of this size may use.

    `features`: buckets for learnt text features. `turns_read`: newest turns of a conversation that are
    read. `words_read`: newest words of each turn that count. `word_pairs`: whether pairs of words are
    features. `tools_tried`: likeliest tools whose arguments are weighed before one is called.
    `examples_used`: examples in a prompt that are attended to. `candidates`: values weighed for
    one argument. `max_examples`: training rows kept. `replies_kept`: learnt answers in text that are
    remembered. `gpus`: 80 GB GPUs that it needs.
    `simulated_latency_ms_per_token`: made up, in proportion to the square root of the size; nothing waits
    for it.
    """

    parameters_billion: float
    features: int
    turns_read: int
    words_read: int
    word_pairs: bool
    tools_tried: int
    examples_used: int
    candidates: int
    max_examples: int
    replies_kept: int
    gpus: int
    simulated_latency_ms_per_token: float


def parameters_of(model_name: str) -> float:
    """Billions of parameters as the name tells them; `UNKNOWN_SIZE_BILLION` where it tells nothing."""
    name = model_name.lower().split("@", 1)[0]
    for known, size in _KNOWN_SIZES.items():
        if known in name:
            return size
    if match := _EXPERTS.search(name):
        return float(match[1]) * float(match[2])
    if match := _BILLIONS.search(name):
        return float(match[1])
    if match := _MILLIONS.search(name):
        return float(match[1]) / 1000
    return UNKNOWN_SIZE_BILLION


def capacity_of(model_name: str) -> Capacity:
    """The capacity of a model, from its name (`meta/llama-3.2-1b-instruct`); never fails."""
    billions = max(parameters_of(model_name), 0.05)
    doublings = math.log2(billions)  # 1b: 0, 3b: 1.6, 8b: 3, 70b: 6.1
    return Capacity(
        parameters_billion=billions,
        features=2 ** round(min(max(7 + 2.2 * doublings, 5), 18)),
        turns_read=round(min(max(6 + 6 * doublings, 3), 60)),
        words_read=round(min(max(24 + 24 * doublings, 12), 240)),
        word_pairs=billions >= 6,
        tools_tried=round(min(max(2 + 0.7 * doublings, 1), 6)),
        examples_used=round(min(max(5 + 3 * doublings, 3), 24)),
        candidates=round(min(max(16 + 14 * doublings, 8), 96)),
        max_examples=round(min(max(4000 + 4000 * doublings, 2000), 40000)),
        replies_kept=round(min(max(400 + 400 * doublings, 200), 3000)),
        gpus=1 if billions <= 50 else (4 if billions <= 300 else 8),
        simulated_latency_ms_per_token=round(4.0 * math.sqrt(billions), 3),
    )
