"""What the person at the terminal can put right, said in one sentence."""


class TrainingError(Exception):
    """Shown without a traceback; the command exits with a non-zero status."""
