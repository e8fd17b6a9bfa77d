"""The server's own log, without the tickets in the views' addresses."""

from __future__ import annotations

import logging
import re

LOGGERS = ("uvicorn.access", "uvicorn.error")  # the second one tells of websockets
TICKET = re.compile(r"(/view/(?:~|%7E))[^/\s?]+", re.IGNORECASE)


class TicketsHidden(logging.Filter):
    """Puts stars where a ticket is: whoever reads the log could look at the app for hours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True, always: lines change, none goes."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                TICKET.sub(r"\1***", value) if isinstance(value, str) else value
                for value in record.args
            )
        return True


def hide_tickets() -> None:
    """Have both loggers show no ticket from now on."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(TicketsHidden())
