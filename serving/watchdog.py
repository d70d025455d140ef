"""The end of a process that cannot be helped: its model hangs, and no thread can be stopped from outside."""

import logging
import os

logger = logging.getLogger("serving")

HANG_EXIT_CODE = 70
"""`EX_SOFTWARE` of sysexits.h."""


def end_process(hang_timeout_s: float) -> None:
    """Ends this process at once, so that another can take its place; who waited for the model has had a 504 by now."""
    logger.critical("the model has been in one batch for %g s: this process ends", hang_timeout_s)
    logging.shutdown()
    os._exit(HANG_EXIT_CODE)  # an orderly exit would wait for the thread that hangs
