"""Numbers and foreign text as a person reads them."""

import re

NOTHING = "n/a"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$])")


def escaped(text: str) -> str:
    """Keep text that others wrote from being read as markdown."""
    return _MARKDOWN.sub(r"\\\1", text)


def milliseconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def score(value: float | None) -> str:
    """Show a probability as a percentage, and never round what is possible to 0 or 100 %."""
    if value is None:
        return NOTHING
    percent = 100 * value
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if percent < 1 or percent > 99:
        return f"{percent:.2f} %" if percent <= 99.99 or value >= 1 else "> 99.99 %"
    return f"{percent:.1f} %"


def points(value: float | None) -> str:
    """Show a difference of probabilities, and never round one to none."""
    if value is None:
        return NOTHING
    return "< 0.0001" if 0 < value < 0.0001 else f"{value:.4f}"


def short(text: str, most: int) -> str:
    """Put a text on one line, and cut it where it has more characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"


def duration(seconds: float) -> str:
    """Show a time span as seconds, minutes or hours."""
    if 0 < seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def count(value: float) -> str:
    """Write a number with separators between thousands."""
    return f"{value:,.0f}"


def listed(names: list[str]) -> str:
    """Join names as in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
