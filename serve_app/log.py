"""A rate limit for the log: where every request fails alike, a line for each says nothing more."""

import logging
import threading

LINES = 10
"""Of one place in the code, in a window."""
WINDOW_S = 1.0


class RateLimit(logging.Filter):
    """Passes the first `LINES` of a place in a window; at its end one line counts the others.

    Args:
        logger: that it is a filter of, and that it tells the count to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._counts: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.pathname == __file__:
            return True
        place = (record.pathname, record.lineno)
        with self._lock:
            count = self._counts[place] = self._counts.get(place, 0) + 1
        if count == 1:
            end = threading.Timer(WINDOW_S, self._end, (place, record.levelno, record.msg))
            end.daemon = True
            try:
                end.start()
            except RuntimeError:  # no thread is to be had: this line passes, and counts for nothing
                with self._lock:
                    del self._counts[place]
        return count <= LINES

    def _end(self, place: tuple[str, int], level: int, message: str) -> None:
        with self._lock:
            more = self._counts.pop(place) - LINES
        if more > 0:
            self._logger.log(level, "%d more lines within %g s as: %s", more, WINDOW_S, message)
