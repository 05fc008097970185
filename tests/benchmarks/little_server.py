"""A little HTTP server in the test's own loop, which answers as the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
HANG_UP = b""


class LittleServer:
    """Answers request number n with `answer(n)`, `delay` seconds after it came."""

    def __init__(self, answer: Callable[[int], bytes], delay: float) -> None:
        self._answer = answer
        self._delay = delay
        self.bodies: list[bytes] = []
        self.most_at_once = 0
        self._now = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                number = len(self.bodies)
                self.bodies.append(await reader.readexactly(length))
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                await asyncio.sleep(self._delay)
                self._now -= 1
                answer = self._answer(number)
                if answer == HANG_UP:
                    break
                # In two pieces: an answer need not come in one.
                writer.write(answer[:20])
                await asyncio.sleep(0)
                writer.write(answer[20:])
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    answer: Callable[[int], bytes] = lambda _: OK, delay: float = 0.0
) -> AsyncIterator[tuple[LittleServer, str]]:
    """The server and its URL."""
    little = LittleServer(answer, delay)
    server = await asyncio.start_server(little.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield little, f"http://127.0.0.1:{port}/infer"
