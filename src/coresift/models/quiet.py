"""Keeps the model libraries' notices and bars off the terminal while we load, save or train; errors still show."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

LIBRARIES = ("trl", "accelerate", "peft")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Errors only from transformers, trl, accelerate and peft; every setting is put back afterwards."""
    from transformers.utils import logging as hf_logging

    loggers = [logging.getLogger(name) for name in LIBRARIES]
    before, levels = hf_logging.get_verbosity(), [logger.level for logger in loggers]
    bars = hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        hf_logging.set_verbosity(before)
        if bars:
            hf_logging.enable_progress_bar()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
