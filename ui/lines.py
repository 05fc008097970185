"""The lines of an answer, each as soon as it has come."""

from collections.abc import Iterator

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ui.errors import TimedOutError, UnreachableError

BLOCK = 65_536
BROKE_OFF = "The service broke off in the middle of its answer."


def lines(response: requests.Response) -> Iterator[bytes]:
    """Yield whole lines; an answer that ends within one has broken off.

    `requests` itself would wait for a full block before it gave a line out.
    """
    rest = b""
    while True:
        try:
            block: bytes = response.raw.read1(BLOCK, decode_content=True)
        except ReadTimeoutError as error:
            raise TimedOutError() from error
        except (HTTPError, OSError) as error:
            raise UnreachableError(BROKE_OFF) from error
        if not block:
            break
        *whole, rest = (rest + block).split(b"\n")
        yield from (line for line in whole if line.strip())
    if rest.strip():
        raise UnreachableError(BROKE_OFF)
