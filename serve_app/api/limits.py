"""Quotas: texts a client may send in a window, counted here or in Redis for all replicas."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from serve_app.api.client import Client
from serve_app.api.errors import INVALID, QUOTA, QUOTA_AWAY, TIMED_OUT, ProblemError
from serve_app.api.shared import Shared
from serve_app.api.window import MARGIN_S, Window
from serve_app.request import REQUEST_ID
from serve_app.settings import Settings, SettingsError

logger = logging.getLogger("ray.serve")

T = TypeVar("T")

POLICY = "texts"
AWAY_S = 1.0
"""While Redis is away, one request in so long asks it; the others are not kept waiting."""
EXPIRE_S = 1.0
"""How often counts in memory that have expired are looked for."""
CONNECTIONS = 8
"""To Redis at the same time. Who waits for one waits for this process, which is no sign that Redis
is away: the time-out begins afterwards."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether some texts are let in.

    Attributes:
        headers: `RateLimit` and `RateLimit-Policy`; none where nothing is counted.
        retry_after: where they are not let in, seconds after which they are.
        counted_at: `time.monotonic()` of the count; None where nothing was counted.
    """

    granted: bool
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: int = 0
    counted_at: float | None = None


class Quota:
    """The quota of every client, as the settings have it. Belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._limit: RateLimitItem | None = None
        self._storage: MemoryStorage | RedisStorage
        self._timeout: float | None = None
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._closed = settings.quota_redis_away == "closed"
        self._fault = ""
        self._ask_at = 0.0
        self._look = Shared(self._read, 0)  # `/ready` is open to everybody
        if settings.quota is None:
            return
        self._limit = parse(settings.quota)
        self._length = self._limit.get_expiry()
        unit = self._limit.GRANULARITY.name
        self._per = unit if self._limit.multiples == 1 else f"{self._limit.multiples} {unit}s"
        # `qu` tells the unit, which is requests where it is not told.
        self._policy = f'"{POLICY}";q={self._limit.amount};w={self._length};qu="texts"'
        if settings.quota_redis is None:
            self._storage = _Memory()
        else:
            self._timeout = settings.quota_redis_timeout_s
            self._storage = _redis(settings.quota_redis.get_secret_value(), self._timeout)
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    @property
    def counts(self) -> bool:
        """Whether there is a quota at all."""
        return self._limit is not None

    @property
    def most(self) -> int | None:
        """Texts that can be drawn at once; None if there is no quota."""
        return None if self._limit is None else self._limit.amount

    async def draw(self, client: Client, texts: int, within: float | None = None) -> Verdict:
        """Draw texts from a client's quota.

        Args:
            within: seconds that the texts may wait for their turn to be counted.

        Raises:
            ProblemError: 429 with the time to wait, 422 where no wait would help, 503 where
                Redis is away and the settings choose to refuse, 504 where their turn did not come.
        """
        try:
            verdict = await self.take(client, texts, within)
        except TimeoutError:
            late = f"The quota was not counted within {within:g} s"
            logger.warning("request %s: %s", REQUEST_ID.get(), late)
            raise ProblemError(TIMED_OUT, f"{late}.") from None
        if verdict.granted:
            return verdict
        raise self._exceeded(verdict, texts)

    async def draw_patiently(self, client: Client, texts: int, patience: float) -> Verdict:
        """Draw texts once the quota lets them in.

        Raises:
            ProblemError: 429, it will not within `patience` seconds; 422 and 503, as in `draw`.
        """
        deadline = time.monotonic() + patience
        while not (verdict := await self.take(client, texts)).granted:
            if time.monotonic() + verdict.retry_after > deadline:
                raise self._exceeded(verdict, texts)
            await asyncio.sleep(verdict.retry_after)
        return verdict

    async def take(self, client: Client, texts: int, within: float | None = None) -> Verdict:
        """Draw texts from a client's quota if it has so many left; else draw nothing.

        Raises:
            ProblemError: 422 or 503, as in `draw`.
            TimeoutError: they waited `within` seconds for their turn; nothing was counted.
        """
        if self._limit is None:
            return Verdict(True)
        if texts > self._limit.amount:
            raise ProblemError(
                INVALID,
                f"The request has {texts} texts and the quota is {self._limit.amount} per"
                f" {self._per}: it can never pass. Send fewer texts at a time.",
                headers={"RateLimit-Policy": self._policy},
            )
        limit = self._limit
        key = limit.key_for(client.id)
        counted: tuple[bool, float] | None = None

        async def count() -> tuple[int, float, int, float]:
            nonlocal counted
            granted = await self._limiter.hit(limit, client.id, cost=texts)
            counted = granted, time.monotonic()
            return await self._storage.get_sliding_window(key, self._length)

        window = await self._ask(count, within=within)
        if counted is None:
            return self._uncounted()
        granted, at = counted
        if window is None:  # Redis has gone since; what it has counted stands
            return Verdict(granted, retry_after=0 if granted else 1, counted_at=at)
        return self._told(limit, granted, texts, window, at)

    async def give_back(self, client: Client, texts: int, drawn: Verdict) -> None:
        """Undo a draw, or a part of it, whose texts were not answered, if it was counted and in the
        current window."""
        if self._limit is None or drawn.counted_at is None or not texts:
            return
        limit, counted_at = self._limit, drawn.counted_at

        async def undo() -> None:
            asked = time.monotonic()
            _, _, now, now_expires = await self._storage.get_sliding_window(
                limit.key_for(client.id), self._length
            )
            # A window's count is kept for another one, see `_told`.
            begun = asked + now_expires - 2 * self._length - MARGIN_S
            if now and begun <= counted_at:
                await self._limiter.hit(limit, client.id, cost=-min(texts, now))

        await self._ask(undo)

    async def state(self) -> tuple[bool, str]:
        """Whether texts are let in, and a sentence if they are not counted as they should be."""
        if self._timeout is not None:
            await self._look.get()
        return not (self._fault and self._closed), self._fault

    async def _read(self) -> None:
        assert self._limit is not None
        key = self._limit.key_for("ready")
        # `check` hides why; reading a count tells.
        await self._ask(lambda: self._storage.get(key), though_away=True)

    async def _ask(
        self,
        question: Callable[[], Awaitable[T]],
        *,
        though_away: bool = False,
        within: float | None = None,
    ) -> T | None:
        """What the storage says; None where Redis is away, which not all wait for each time.

        Raises:
            TimeoutError: no connection was free `within` seconds; nothing was asked.
        """
        if self._timeout is None:
            return await question()
        if self._is_away() and not though_away:
            return None
        async with asyncio.timeout(within):
            await self._connections.acquire()
        try:
            if self._is_away() and not though_away:  # others have found it so meanwhile
                return None
            self._ask_at = time.monotonic() + AWAY_S
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await question()
            except (RedisError, OSError, TimeoutError) as error:
                self._away(error)
                return None
            self._back()
            return answer
        finally:
            self._connections.release()

    def _is_away(self) -> bool:
        return bool(self._fault) and time.monotonic() < self._ask_at

    def _told(
        self,
        limit: RateLimitItem,
        granted: bool,
        texts: int,
        counts: tuple[int, float, int, float],
        counted_at: float,
    ) -> Verdict:
        """The verdict on so many texts, with what the storage says of the client's windows."""
        before, before_left, now, now_expires = counts
        # The library keeps a window's count for one more window, in which it is the previous one.
        window = Window(
            limit.amount,
            self._length,
            before,
            before_left,
            now,
            max(0.0, now_expires - self._length),
        )
        remaining = window.remaining
        more = f";t={window.wait(remaining + 1)}" if remaining < limit.amount else ""
        headers = {
            "RateLimit": f'"{POLICY}";r={remaining}{more}',
            "RateLimit-Policy": self._policy,
        }
        return Verdict(granted, headers, 0 if granted else window.wait(texts), counted_at)

    def _exceeded(self, verdict: Verdict, texts: int) -> ProblemError:
        assert self._limit is not None
        return ProblemError(
            QUOTA,
            f"The quota of {self._limit.amount} texts per {self._per} does not have {texts} left;"
            f" try again in {verdict.retry_after} s.",
            headers={**verdict.headers, "Retry-After": str(verdict.retry_after)},
        )

    def _uncounted(self) -> Verdict:
        """The verdict while Redis is away.

        Raises:
            ProblemError: 503, the settings choose to refuse.
        """
        if not self._closed:
            return Verdict(True)
        raise ProblemError(
            QUOTA_AWAY,
            "The quota cannot be counted now, and the service refuses what it cannot count.",
            headers={"Retry-After": "1"},
        )

    def _away(self, error: Exception) -> None:
        if not self._fault:
            choice = "refused" if self._closed else "let in uncounted"
            self._fault = f"Redis does not count the quotas; texts are {choice}."
            logger.error("%s (%s)", self._fault, str(error) or type(error).__name__)
        self._ask_at = time.monotonic() + AWAY_S

    def _back(self) -> None:
        if self._fault:
            self._fault = ""
            logger.warning("Redis counts the quotas again")


class _Memory(MemoryStorage):
    """Looks for what has expired now and then; the library walks all clients at each hit."""

    async def _MemoryStorage__expire_events(self) -> None:  # noqa: N802 the library's `__`
        await super()._MemoryStorage__expire_events()  # type: ignore[misc]
        await asyncio.sleep(EXPIRE_S)  # until it ends, the library begins no other


def _redis(url: str, timeout: float) -> RedisStorage:
    """
    Raises:
        SettingsError: the URL is none; what is wrong with it could be a piece of the password.
    """
    try:
        return _storage(url, timeout)
    except ValueError:
        raise SettingsError(
            "SENTIMENT_QUOTA_REDIS is no valid URL; is its password percent-encoded?"
        ) from None


def _storage(url: str, timeout: float) -> RedisStorage:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # Once, at once: a connection that Redis has closed meanwhile is opened anew.
        retry=Retry(NoBackoff(), 1),
    )
    return RedisStorage(
        url,
        implementation="redispy",
        key_prefix="sentiment-quota",
        connection_pool=cast(Any, pool),
    )
