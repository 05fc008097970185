"""FastAPI and onnxruntime in one plain file, one thread a call, no batching of requests.

With no number of workers, a `def` route in FastAPI's own pool of 40 threads, as its guide has
it; with one, so many calls at a time and the others in their order, which is kinder to the slowest.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.classifier import Given, Prediction, load


class Body(BaseModel):
    input: str | list[str]

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


def create(given: Given) -> FastAPI:
    """The application."""
    classify = load(given)
    app = FastAPI()

    if not given.workers:

        @app.post("/")
        def in_pool(body: Body) -> list[Prediction]:
            return classify(body.texts)

        return app

    pool = ThreadPoolExecutor(given.workers)

    @app.post("/")
    async def in_turn(body: Body) -> list[Prediction]:
        return await asyncio.get_running_loop().run_in_executor(pool, classify, body.texts)

    return app


if __name__ == "__main__":
    asked = Given.read()
    uvicorn.run(create(asked), host="127.0.0.1", port=asked.port, log_level="warning")
