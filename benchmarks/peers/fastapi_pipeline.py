"""FastAPI and Hugging Face's pipeline, as transformers' «pipelines for a webserver» has it.

The server takes requests, one thread runs the pipeline with all cores; no batching, which the same
guide advises against on a CPU.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

from benchmarks.peers.classifier import Given, Prediction


class Body(BaseModel):
    input: str | list[str]


def create(given: Given) -> FastAPI:
    """The application."""
    torch.set_num_threads(given.threads)
    classify: Any = pipeline(
        "text-classification", model=str(given.model / "torch"), device="cpu", truncation=True
    )
    one = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(given.threads,))
    app = FastAPI()

    @app.post("/")
    async def infer(body: Body) -> list[Prediction]:
        texts = [body.input] if isinstance(body.input, str) else body.input
        loop = asyncio.get_running_loop()
        answers: list[Prediction] = await loop.run_in_executor(one, classify, texts)
        return answers

    return app


if __name__ == "__main__":
    asked = Given.read()
    uvicorn.run(create(asked), host="127.0.0.1", port=asked.port, log_level="warning")
