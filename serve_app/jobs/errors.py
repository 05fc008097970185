"""What a job says when it cannot go on: one sentence, for standard error."""

import errno


class PrepareError(Exception):
    """Preparation cannot go on; the message is one sentence that says why and what helps."""


class HubUnreachable(PrepareError):  # noqa: N818
    """The hub does not answer, or not usefully; trying again later may help."""


def out_of_space(error: BaseException) -> bool:
    """Whether an exception, or one behind it, says that the disk is full.

    Libraries written in Rust and C++ report it in words only.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if "No space left on device" in str(seen) or "os error 28" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def one_line(error: Exception, most: int = 200) -> str:
    """What an error says, in one line of so many characters at the most."""
    return " ".join(str(error).split())[:most] or type(error).__name__
