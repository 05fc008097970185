"""Telemetry that a test reads."""

from serve_app.telemetry import Metric


class Notes:
    """Keeps what was noted, in order."""

    def __init__(self) -> None:
        self.noted: list[tuple[Metric, float, dict[str, str]]] = []

    def note(self, metric: Metric, value: float = 1.0, **tags: str) -> None:
        """See `Telemetry`."""
        self.noted.append((metric, value, tags))
