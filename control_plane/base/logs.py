"""Logging of refused requests: one line each."""

import logging


class OneLineForRefusals(logging.Filter):
    """Filter that drops the traceback of a refused request: with a status below 500 the request is at fault, not the code."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record, refusals without their traceback."""
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = record.stack_info = None
        return True
