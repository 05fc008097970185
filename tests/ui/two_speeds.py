"""A service whose backends take 20 and 5 ms at any load, in a process of its own.

`python -m tests.ui.two_speeds` prints its port.
"""

import asyncio
import json

from tests.ui.stand_in import info

MILLISECONDS = {"transformers": 20, "onnx": 5}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        except (asyncio.IncompleteReadError, ConnectionError):
            return writer.close()
        path = head.split()[1].strip("/")
        _, _, length = head.partition("content-length: ")
        await reader.readexactly(int(length.split()[0]) if length else 0)
        taken = MILLISECONDS.get(path.split("/")[0], 0)
        await asyncio.sleep(taken / 1000)
        status = 404 if path == "cluster" else 200
        content = json.dumps([{"label": "POSITIVE", "score": 0.9}] if taken else info())
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n"
            f"Server-Timing: total;dur={taken}\r\n\r\n{content}".encode()
        )


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
