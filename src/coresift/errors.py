"""Every error a user can fix: the message names value, rule and next step; the CLI prints it and exits 2."""


class CoresiftError(Exception):
    """Base of all errors that are the user's to fix."""


class DataError(CoresiftError):
    """A pool, a file or a row is not what it should be."""


class SettingsError(CoresiftError):
    """A setting cannot be honoured: unknown, out of range or in conflict with another."""


class RenderError(CoresiftError):
    """A chat template does not give a response back unchanged."""


class ModelError(CoresiftError):
    """A model or tokenizer cannot be loaded or lacks what is asked of it."""


class FeatureError(CoresiftError):
    """A feature store is broken, belongs to something else, or holds values that are not finite."""


class SelectionError(CoresiftError):
    """A selection cannot be made: budget, features and method do not fit together."""


class TrainingError(CoresiftError):
    """A training run cannot be started, resumed or read back."""


class RunError(CoresiftError):
    """A run folder is incomplete or was made with other settings."""


class ComparisonError(CoresiftError):
    """Scores or costs cannot be compared: other items, not finite, or too few."""


class DiskError(CoresiftError):
    """A file cannot be written: the disk is full or does not take it."""


class MemoryShortError(CoresiftError):
    """Work does not fit the memory of this machine or its GPU under the settings given."""
