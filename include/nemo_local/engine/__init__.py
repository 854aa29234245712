"""The stand-in's models: small and honest.

They answer from the request and from what was learnt, and from nothing else. `capacity_of` reads a model's
size from its name, `answer` answers a chat-completion body, `fit` makes an `Adapter` of a training file.
"""

from include.nemo_local.engine.adapter import Adapter
from include.nemo_local.engine.answering import answer
from include.nemo_local.engine.capacity import Capacity, capacity_of
from include.nemo_local.engine.errors import BadAdapter, EngineError, NoTrainingRows, TrainingCancelled
from include.nemo_local.engine.fitting import fit
from include.nemo_local.engine.hyperparameters import EpochReport, Hyperparameters

__all__ = [
    "Adapter",
    "BadAdapter",
    "Capacity",
    "EngineError",
    "EpochReport",
    "Hyperparameters",
    "NoTrainingRows",
    "TrainingCancelled",
    "answer",
    "capacity_of",
    "fit",
]
