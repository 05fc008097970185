"""Telemetry that a test reads."""

from serve_app.telemetry import Metric


class Notes:
    """Keeps what was noted, in order."""

    def __init__(self) -> None:
        self.noted: list[tuple[Metric, float, dict[str, str]]] = []

    def note(self, metric: Metric, value: float = 1.0, **tags: str) -> None:
        """See `Telemetry`."""
        self.noted.append((metric, value, tags))

    def tags(self, metric: Metric) -> list[dict[str, str]]:
        """Those that a metric was noted with, in order."""
        return [tags for noted, _, tags in self.noted if noted is metric]
