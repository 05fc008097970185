"""The two model deployments: Ray Serve's edge of the engine."""

import asyncio
import logging
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import ray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from ray import serve

from serve_app import tracing
from serve_app.autoscaling import TEXTS
from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.batcher import Batcher, Budget, Scored
from serve_app.engine.certificate import Certificate
from serve_app.engine.fair_queue import LONG_TURN
from serve_app.engine.loading import BackendName, Choice, load
from serve_app.link_protocol import Address
from serve_app.link_server import LinkServer
from serve_app.messages import Call, Reply
from serve_app.telemetry import BATCH_SIZE, TOKENS, RayTelemetry

logger = logging.getLogger("ray.serve")

NO_NUMBERS = "the model answers with numbers that are none"
HEALTH_DEADLINE_S = 20.0
"""A model that runs one batch for longer is stuck, and its replica is replaced."""
INLINE_CHARACTERS = 2000
"""Tokenizing so much takes half a millisecond: less than it costs to have a thread do it."""
NICENESS, BULK_NICENESS = 12, 19
"""Of the model's threads. The event loops come first, so that refusals and answers wait for no
batch; then single texts, then long requests, which take what is left."""
TOKENIZING = 2
"""Threads for texts of short requests, and as many for those of long ones."""
BUDGET = Budget()
INGRESS_TOLD_S = 5.0
"""What an ingress told of its queue is forgotten after so long."""


class ReplicaConfig(BaseModel):
    """`user_config` of a model deployment in `serve_config.yaml`; changes apply in place.

    Attributes:
        workers: model calls at the same time, of short requests, and as many of long ones.
        threads: of each call.
        batch_texts, batch_tokens, batch_padding: see `engine.batcher.Budget`.
        precision: of the ONNX model; "prepared" takes what preparation chose.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: PositiveInt = 1
    threads: PositiveInt = 1
    batch_texts: PositiveInt = BUDGET.texts
    batch_tokens: PositiveInt = BUDGET.tokens
    batch_padding: float = Field(BUDGET.padding, ge=0, le=1)
    precision: Choice = "prepared"

    @property
    def budget(self) -> Budget:
        return Budget(self.batch_texts, self.batch_tokens, self.batch_padding)


class Classifier:
    """What both model deployments do; they differ in the backend they load."""

    _kind: BackendName
    _backend: Backend
    # Of short requests, and of long ones: a single text finds a free worker beside any bulk load,
    # and a free thread to be tokenized in.
    _batchers: tuple[Batcher, Batcher] | None = None
    _certificate: Certificate
    _config: ReplicaConfig
    _address: Address | None = None

    def __init__(self, model: str) -> None:
        self._links = LinkServer(self.infer)
        self._artifacts = Artifacts(model)
        self._telemetry = RayTelemetry()
        self._told: dict[str, tuple[float, float]] = {}
        self._name = serve.get_replica_context().replica_id.unique_id
        self._tokenizing = _threads(0), _threads(BULK_NICENESS)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Load, certify and switch to the model as configured; called at start and on change."""
        config = ReplicaConfig.model_validate(user_config)
        if self._batchers is not None and config == self._config:
            return  # Serve calls at every change of rank too, as when another replica dies
        backend, certificate = await asyncio.to_thread(self._load, config)
        short = Batcher(backend.logits, config.workers, config.budget, NICENESS)
        try:
            long = Batcher(backend.logits, config.workers, config.budget, BULK_NICENESS, LONG_TURN)
        except BaseException:  # no threads are left for it: all stays as it was
            short.close()
            raise
        old = self._batchers or ()
        self._backend, self._certificate, self._config = backend, certificate, config
        self._batchers = short, long
        for batcher in old:
            await asyncio.to_thread(batcher.close)
        _warn_of_threads(config, _cpus())
        if self._address is None:
            self._address = await self._links.open(self._name, ray.util.get_node_ip_address())

    async def __del__(self) -> None:  # Serve awaits it before it ends the replica
        await self._links.close()

    def _load(self, config: ReplicaConfig) -> tuple[Backend, Certificate]:
        backend, certificates = load(self._kind, self._artifacts, config.threads, config.precision)
        for certificate in certificates:
            logger.log(logging.INFO if certificate.passed else logging.WARNING, "%s", certificate)
        return backend, certificates[-1]

    async def infer(self, call: Call) -> Reply:
        """Answer every text of a call; one that fails does not fail its neighbours."""
        start, begun = time.perf_counter(), time.time_ns()
        self._told[call.ingress] = (start, call.waiting)
        texts = [text for request in call.requests for text in request]
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            encoded = _encode(self._backend, texts)
        else:
            loop = asyncio.get_running_loop()
            threads = self._tokenizing[call.bulk]
            encoded = await loop.run_in_executor(threads, _encode, self._backend, texts)
        tokenize = time.perf_counter() - start
        flows = [(call.ingress, flow) for flow in call.flows]
        futures = self._loaded[call.bulk].submit(_like(call.requests, encoded), flows)
        answers = iter(await asyncio.gather(*futures, return_exceptions=True))
        scored = [next(answers) if isinstance(text, Encoded) else text for text in encoded]
        backend = self._backend.name
        tokens = sum(len(text) for text in encoded if isinstance(text, Encoded))
        self._telemetry.note(TOKENS, tokens, backend=backend)
        if isinstance(scored[0], Scored):
            self._telemetry.note(BATCH_SIZE, scored[0].batch_size, backend=backend)
        reply = _reply(self._name, encoded, scored, len(self._artifacts.manifest.labels), tokenize)
        if reply.errors:
            _tell(call, reply)
        if call.traces:
            _trace(backend, call, reply, begun)
        return reply

    async def address(self) -> Address | None:
        """Where ingresses link to this replica."""
        return self._address

    async def describe(self) -> dict[str, Any]:
        """How this replica runs the model, for `/info` and `/cluster`."""
        return {
            "replica": self._name,
            "node": ray.util.get_node_ip_address(),
            "precision": self._backend.precision,
            "workers": self._config.workers,
            "threads": self._config.threads,
            "cpus": _cpus(),
            "texts": self._texts,
            "certificate": asdict(self._certificate),
        }

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Texts in hand and this replica's share of those that wait in the ingresses."""
        horizon = time.perf_counter() - INGRESS_TOLD_S
        self._told = {name: said for name, said in self._told.items() if said[0] > horizon}
        return {TEXTS: self._texts + sum(waiting for _, waiting in self._told.values())}

    async def check_health(self) -> None:
        """Run one golden text past all queues: overload is no illness, a stuck model is."""
        stuck = max(batcher.stuck for batcher in self._loaded)
        if stuck > HEALTH_DEADLINE_S:
            raise RuntimeError(f"a batch has been running for {stuck:.0f} s")
        encoded = self._backend.encode(self._artifacts.golden.texts[:1])
        async with asyncio.timeout(HEALTH_DEADLINE_S):
            logits = await asyncio.to_thread(self._backend.logits, encoded)
        if not np.isfinite(logits).all():
            raise RuntimeError(NO_NUMBERS)

    @property
    def _loaded(self) -> tuple[Batcher, Batcher]:
        if self._batchers is None:
            raise RuntimeError("the model is not loaded yet")
        return self._batchers

    @property
    def _texts(self) -> int:
        """Texts that wait or are being run."""
        return sum(batcher.texts for batcher in self._batchers or ())


def _threads(niceness: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(TOKENIZING, "tokenizing", initializer=os.nice, initargs=(niceness,))


def _cpus() -> float:
    """CPUs that Ray reserved for this replica."""
    return float(ray.get_runtime_context().get_assigned_resources().get("CPU", 0.0))


def _warn_of_threads(config: ReplicaConfig, cpus: float) -> None:
    """Where replicas have whole CPUs to themselves, more threads wait and fewer leave some idle."""
    if cpus >= 1 and config.workers * config.threads != cpus:
        logger.warning(
            "%d workers of %d threads on %g reserved CPUs: `num_cpus` of the deployment should be"
            " workers x threads",
            config.workers,
            config.threads,
            cpus,
        )


def _encode(backend: Backend, texts: list[str]) -> list[Encoded | Exception]:
    """One result a text: its tokens, or what the tokenizer raised on it."""
    try:
        return [*backend.encode(texts)]
    except Exception as error:
        if len(texts) == 1:
            return [error]
        return [result for text in texts for result in _encode(backend, [text])]


def _like(requests: list[list[str]], encoded: list[Encoded | Exception]) -> list[list[Encoded]]:
    """The tokens that there are, by request."""
    rest = iter(encoded)
    results = ([next(rest) for _ in request] for request in requests)
    return [[text for text in request if isinstance(text, Encoded)] for request in results]


def _reply(
    replica: str,
    encoded: Sequence[Encoded | Exception],
    scored: list[Scored | BaseException],
    classes: int,
    tokenize: float,
) -> Reply:
    count = len(scored)
    reply = Reply(
        replica=replica,
        logits=np.full((count, classes), math.nan, dtype=np.float32),
        queue=np.zeros(count, dtype=np.float32),
        inference=np.zeros(count, dtype=np.float32),
        batch_size=np.zeros(count, dtype=np.int32),
        truncated=[
            row for row, text in enumerate(encoded) if isinstance(text, Encoded) and text.truncated
        ],
        errors={},
        tokenize=tokenize * 1000,
    )
    for row, result in enumerate(scored):
        if isinstance(result, BaseException):
            reply.errors[row] = str(result) or type(result).__name__
            continue
        reply.logits[row] = result.logits
        reply.queue[row] = result.queue * 1000
        reply.inference[row] = result.inference * 1000
        reply.batch_size[row] = result.batch_size
    for row in np.flatnonzero(~np.isfinite(reply.logits).all(axis=1)).tolist():
        reply.errors.setdefault(row, NO_NUMBERS)
    return reply


def _tell(call: Call, reply: Reply) -> None:
    """Log whose texts the model failed on, by the ids that the clients have."""
    owner = [name for texts, name in zip(call.requests, call.ids, strict=True) for _ in texts]
    names = dict.fromkeys(owner[row] for row in sorted(reply.errors))
    what = next(iter(reply.errors.values()))
    logger.warning("the model failed on texts of the requests %s: %s", ", ".join(names), what)


def _trace(backend: str, call: Call, reply: Reply, begun: int) -> None:
    """A span for each traced request of a call, in that request's own trace."""
    last = -1
    for texts, parent in zip(call.requests, call.traces, strict=True):
        last += len(texts)
        if parent:
            said = {
                "sentiment.texts": len(texts),
                "sentiment.batch_size": int(reply.batch_size[last]),
                "sentiment.queue_ms": float(reply.queue[last]),
                "sentiment.tokenize_ms": reply.tokenize,
                "sentiment.inference_ms": float(reply.inference[last]),
            }
            tracing.record(f"classify {backend}", parent, begun, time.time_ns(), said)


class TorchClassifier(Classifier):
    """The model in PyTorch."""

    _kind = "transformers"


class OnnxClassifier(Classifier):
    """The model in ONNX Runtime; falls back to fp32 where int8 is not certified on this CPU."""

    _kind = "onnx"
