"""What a customization job may set, and what it is told after every epoch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """As NeMo Customizer names them.

    `learning_rate` 1e-4 is an ordinary step; `adapter_dim` bounds what can be learnt (512 feature buckets
    for each). Raises ValueError for what cannot be used.
    """

    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 1e-4
    adapter_dim: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "adapter_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"hyperparameter {name} is {getattr(self, name)!r}: give 1 or more")
        if not 0 < self.learning_rate < 1:
            raise ValueError(
                f"hyperparameter learning_rate is {self.learning_rate!r}: give one between 0 and 1"
            )


@dataclass(frozen=True, slots=True)
class EpochReport:
    """After epoch `epoch` of `epochs` (from 1).

    Losses are mean log losses in nats: the training loss as met while learning, the validation loss after
    the epoch, None without validation rows.
    """

    epoch: int
    epochs: int
    steps_completed: int
    steps_per_epoch: int
    train_loss: float
    val_loss: float | None
