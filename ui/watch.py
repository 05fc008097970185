"""How the cluster was of late: one look in so many seconds for all sessions together."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from ui.answers import Cluster
from ui.client import Client
from ui.recent import Recent

KEPT = 900


@dataclass(frozen=True, slots=True)
class Look:
    at: datetime
    cluster: Cluster


class Watch:
    """Remembers what it saw, so that whoever opens the page also sees the last minutes."""

    def __init__(self, client: Client, seconds: float) -> None:
        self._client = client
        self._recent = Recent(self._look, seconds)
        self._lock = threading.Lock()
        self._looks: deque[Look] = deque(maxlen=KEPT)

    def now(self) -> Look:
        return self._recent.get()

    def looks(self) -> list[Look]:
        """List what was seen, oldest first."""
        with self._lock:
            return list(self._looks)

    def _look(self) -> Look:
        look = Look(datetime.now(UTC), self._client.cluster())
        with self._lock:
            self._looks.append(look)
        return look
