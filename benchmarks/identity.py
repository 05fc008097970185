"""CPU that identity and quota add to a request: `python -m benchmarks.identity`.

What the routes call, in this process, over and over: `authenticate` on a request's headers and
`draw` for one text. CPU is that of all threads; each figure is the median of several passes.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from starlette.requests import Request

from benchmarks.records import RESULTS, in_words, machine, write
from serve_app.api import keys
from serve_app.api.auth import Authenticator
from serve_app.api.limits import Quota
from serve_app.api.tokens import REMEMBERED
from serve_app.settings import Settings

# The issuer and the Redis that the API is tested against: the same tokens, the same count.
from tests.redis_server import BINARY, RedisServer
from tests.signing_issuer import AUDIENCE, SigningIssuer

LIMIT_MS = 0.3
"""What identity and a quota in memory may cost together."""
QUOTA = "1000000000/minute"
NOTHING = "nothing (no identity, no quota)"
SEEN = "{} token, seen before"
FIRST = "{} token, each for the first time"
"""More of them in turn than are remembered: once for each token, not for each request."""
PASSES = 7
REQUESTS = 2000
HEADERS = {
    "host": "127.0.0.1:8000",
    "user-agent": "python-requests/2.32.5",
    "accept-encoding": "gzip, deflate",
    "accept": "*/*",
    "connection": "keep-alive",
    "content-length": "29",
    "content-type": "application/json",
    "x-request-id": "1f0f7a5e-6f6e-4f3c-9a55-0f2d8c2c7f4e",
}


def request(credential: str) -> Request:
    """As it comes from the server, with the usual headers."""
    headers = {**HEADERS, "authorization": f"Bearer {credential}"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


async def cost(settings: Settings, credentials: Sequence[str], redis: int | None = None) -> Any:
    """Milliseconds of CPU that one request costs, here and in Redis."""
    identity, quota = Authenticator(settings), Quota(settings)
    server = psutil.Process(redis) if redis else None
    turn = itertools.cycle(credentials)
    here: list[float] = []
    there: list[float] = []
    for number in range(PASSES + 1):  # the first warms up
        begin, begin_there = time.process_time(), _cpu(server)
        for _ in range(REQUESTS):
            # The request's headers are parsed anew, as they are once for each request.
            asked = request(next(turn))
            client = await identity.authenticate(asked, "infer")
            if quota.counts:
                await quota.draw(client, 1)
            await asyncio.sleep(0)  # as any request, it gives way to others
        if number:
            here.append((time.process_time() - begin) / REQUESTS * 1000)
            there.append((_cpu(server) - begin_there) / REQUESTS * 1000)
    result = {"ms": statistics.median(here), "most_ms": max(here)}
    if server:
        result["redis_ms"] = statistics.median(there)
    return {name: round(value, 4) for name, value in result.items()}


def _tokens(issuer: SigningIssuer) -> list[str]:
    return [issuer.token(jti=str(number)) for number in range(REMEMBERED + 1)]


async def measure(folder: Path, issuer: SigningIssuer, redis: RedisServer | None) -> dict[str, Any]:
    """Every way to identify oneself with every way to count."""
    one, many = _keys(folder / "one.json", 1), _keys(folder / "many.json", 1000)
    rs256 = _tokens(issuer)
    issuer.rotate("elliptic", elliptic=True, keep=True)
    es256 = _tokens(issuer)
    key: dict[str, Any] = {"auth": "api-key", "api_keys": folder / "one.json"}
    oidc: dict[str, Any] = {"auth": "oidc", "oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}
    memory: dict[str, Any] = {"quota": QUOTA}
    cases: dict[str, tuple[dict[str, Any], Sequence[str]]] = {
        NOTHING: ({}, one),
        "API key": (key, one),
        "API key + quota in memory": ({**key, **memory}, one),
        "API keys of 1,000 clients + quota in memory": (
            {**key, "api_keys": folder / "many.json", **memory},
            many,
        ),
        f"{SEEN.format('RS256')} + quota in memory": ({**oidc, **memory}, rs256[:1]),
        f"{SEEN.format('ES256')} + quota in memory": ({**oidc, **memory}, es256[:1]),
        FIRST.format("RS256"): (oidc, rs256),
        FIRST.format("ES256"): (oidc, es256),
    }
    results = {name: await cost(Settings(**given), used) for name, (given, used) in cases.items()}
    if redis is not None:
        shared: dict[str, Any] = {**memory, "quota_redis": redis.url}
        for name, given, used in (("API key", key, one), (SEEN.format("RS256"), oidc, rs256[:1])):
            results[f"{name} + quota in Redis"] = await cost(
                Settings(**given, **shared), used, redis.pid
            )
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 1 where identity and a quota in memory cost more than they may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS / "identity.json")
    options = parser.parse_args(argv)
    redis = RedisServer() if BINARY else None
    try:
        with tempfile.TemporaryDirectory() as folder, SigningIssuer() as issuer:
            results = asyncio.run(measure(Path(folder), issuer, redis))
    finally:
        if redis is not None:
            redis.kill()
    said = {"machine": machine(), "results": results}
    write(options.output, said)
    print(table(said))
    nothing = results[NOTHING]["ms"]
    added = max(result["ms"] - nothing for name, result in results.items() if "memory" in name)
    print(f"\nat most {added:.3f} ms in memory; {LIMIT_MS} ms are allowed")
    return int(added > LIMIT_MS)


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}, in one process and without HTTP.",
        "",
        "| what | CPU ms a request | added | Redis's CPU ms |",
        "| --- | --- | --- | --- |",
    ]
    nothing = said["results"][NOTHING]["ms"]
    for name, result in said["results"].items():
        there = f"{result['redis_ms']:.3f}" if "redis_ms" in result else "–"
        lines.append(f"| {name} | {result['ms']:.3f} | {result['ms'] - nothing:.3f} | {there} |")
    return "\n".join(lines)


def _keys(path: Path, count: int) -> list[str]:
    made = [keys.make(f"client-{number}", ("infer",)) for number in range(count)]
    keys.write(path, keys.Records(keys=tuple(record for _, record in made)))
    return [key for key, _ in made]


def _cpu(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main())
