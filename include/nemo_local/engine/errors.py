"""What can go wrong in the engine.

EngineError
├── NoTrainingRows      nothing in the training file can be learnt from
├── TrainingCancelled   the caller asked the fit to stop
└── BadAdapter          an adapter's file cannot be read
"""


class EngineError(Exception):
    """Base of everything that the engine raises on purpose."""


class NoTrainingRows(EngineError):
    """No row of the training file ends in an assistant's answer."""


class TrainingCancelled(EngineError):
    """`on_epoch` returned False: the fit stopped and has no result."""


class BadAdapter(EngineError):
    """The file is no adapter of this engine, or of another format."""
