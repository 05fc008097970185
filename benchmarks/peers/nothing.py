"""FastAPI with no model: what HTTP, validation and JSON cost in one plain file."""

import uvicorn
from fastapi import FastAPI

from benchmarks.peers.classifier import Given, Prediction
from benchmarks.peers.fastapi_onnx import Body

app = FastAPI()


@app.post("/")
async def answer(body: Body) -> list[Prediction]:
    return [Prediction(label="POSITIVE", score=0.5) for _ in body.texts]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=Given.read().port, log_level="warning")
