"""What the log says of a request that was refused: one line."""

import logging


class OneLineForRefusals(logging.Filter):
    """Leaves out where in the code a request was refused: with a status below 500 the request was at fault, not the code."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through, refusals without their trace."""
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = record.stack_info = None
        return True
