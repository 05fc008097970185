"""Every setting that comes from the environment, typed, in one place.

Deployments, autoscaling, CPUs and threads are not here: they are in `serve_config.yaml`.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class SettingsError(Exception):
    """Settings that do not go together; the message is a sentence.

    Not a ValueError: pydantic would wrap it in several lines and show the values, which may hold
    passwords.
    """


def trustworthy(url: str) -> bool:
    """Whether nobody on the way can change what the address answers: TLS, or this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


class Settings(BaseSettings):
    """Settings of the service; each is read from `SENTIMENT_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="SENTIMENT_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    model: Path = Field(
        default=Path(".cache/prepared/sst2-minilm"),
        description=(
            "The prepared folder that is served (`sentiment prepare` makes it; `sentiment run`"
            " sets this to what `--model` names)."
        ),
    )
    timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Seconds after which a request that is not answered gets 504.",
    )
    max_texts: int = Field(
        default=256, ge=1, description="Most texts of one request; more get 422."
    )
    max_body_bytes: int = Field(
        default=4_000_000, ge=1, description="Largest body of a request; larger ones get 413."
    )
    max_spool_bytes: int = Field(
        default=1_000_000_000,
        ge=1,
        description="Bytes of one streamed upload that may wait on disk; more end it with 413.",
    )
    max_bodies_bytes: int = Field(
        default=500_000_000,
        ge=1,
        description="Bytes of request bodies that an ingress may be receiving at the same time;"
        " more get 503.",
    )
    max_spools_bytes: int = Field(
        default=3_000_000_000,
        ge=1,
        description="Bytes of disk that the streamed uploads of an ingress may take together; one"
        " that finds no room ends with 503.",
    )
    max_streams: int = Field(
        default=512,
        ge=1,
        description="Streams that may be open in one ingress replica; more get 503.",
    )
    max_streams_per_client: int = Field(
        default=64,
        ge=1,
        description="Streams that one client may have open in one ingress replica; more get 503."
        " Without SENTIMENT_AUTH all clients are one.",
    )
    auto_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Margin between ONNX's two best scores below which `auto` also asks torch;"
        " unset takes what preparation chose.",
    )
    auto_patience_s: float = Field(
        default=2.0,
        gt=0,
        description="Seconds after which `auto` asks torch in the place of ONNX; after three times"
        " as long without torch a doubtful answer of ONNX stands. As much again for each 64 texts"
        " of a longer list, and for ONNX of those that wait before it, but never more than half of"
        " SENTIMENT_TIMEOUT_S.",
    )
    shadow_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of requests that the other backend is asked too, after the answer.",
    )
    shadow_bound: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Difference of a score between the backends that is logged and counted.",
    )
    max_waiting_texts: int = Field(
        default=2048,
        ge=1,
        description="Texts that may wait for one backend in one ingress replica; more get 503."
        " Requests of up to 8 texts, which do not wait for longer ones, are counted by themselves,"
        " and no more of them are let in than can be answered within SENTIMENT_TIMEOUT_S.",
    )
    max_waiting_requests: int = Field(
        default=1024,
        ge=1,
        description="Requests that may wait for one backend in one ingress replica, each on a"
        " connection of its own; more get 503.",
    )
    max_waiting_characters: int = Field(
        default=64_000_000,
        ge=1,
        description="Characters of the texts that may wait for one backend in one ingress replica,"
        " which bounds their memory; more get 503.",
    )
    texts_per_call: int = Field(
        default=8,
        ge=1,
        description="Most waiting texts that one call to a replica carries; twice as many of"
        " requests of more than 8 texts.",
    )
    calls_per_replica: int = Field(
        default=16,
        ge=1,
        description="Calls that one ingress replica keeps in flight for each model replica: so many"
        " of short requests, and as many of longer ones.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins, by comma, whose pages may call the API from a browser; `*` for all.",
    )

    auth: Literal["none", "api-key", "oidc", "api-key,oidc"] = Field(
        default="none",
        description="How clients identify themselves: none, api-key, oidc, or api-key,oidc.",
    )
    api_keys: Path | None = Field(
        default=None,
        description="The file of API keys that `sentiment key` writes; for SENTIMENT_AUTH=api-key.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="The issuer's URL, as in the tokens' `iss`; for SENTIMENT_AUTH=oidc.",
    )
    oidc_audience: str | None = Field(
        default=None,
        min_length=1,
        description="This service's name in the tokens' `aud`; for SENTIMENT_AUTH=oidc.",
    )
    oidc_algorithms: Annotated[tuple[Algorithm, ...], NoDecode] = Field(
        default="RS256,ES256",
        validate_default=True,
        min_length=1,
        description="The only algorithms, by comma, that tokens may be signed with; of"
        " RS, PS and ES with 256, 384 or 512, and EdDSA.",
    )
    oidc_leeway_s: float = Field(
        default=30.0,
        ge=0,
        le=300,
        description="Seconds that the issuer's clock may differ from this one.",
    )
    oidc_cache_s: float = Field(
        default=300.0,
        gt=0,
        le=3600,
        description="Seconds after which the issuer's keys are read again; while it is away they"
        " serve on for a day.",
    )
    oidc_pause_s: float = Field(
        default=10.0,
        ge=0,
        description="Least seconds between two reads of the issuer's keys, whatever tokens come.",
    )
    quota: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d*/([1-9]\d* ?)?(second|minute|hour|day)s?$",
        description="Texts that each client may send in a window, such as 1000/minute or"
        " 500/10 seconds; unset for no quota. Without SENTIMENT_AUTH all clients share one.",
    )
    quota_redis: SecretStr | None = Field(
        default=None,
        description="redis:// or rediss:// URL where all ingress replicas count the quotas"
        " together; unset counts in each replica's memory.",
    )
    quota_redis_away: Literal["open", "closed"] = Field(
        default="open",
        description="While Redis is away: open lets texts in uncounted, closed refuses them.",
    )
    quota_redis_timeout_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds after which Redis counts as away.",
    )

    @field_validator("cors_origins", "oidc_algorithms", mode="before")
    @classmethod
    def _by_comma(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("auth", mode="before")
    @classmethod
    def _in_order(cls, value: object) -> object:
        if isinstance(value, str):
            return ",".join(sorted(part.strip() for part in value.split(",")))
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """
        Raises:
            SettingsError: a setting lacks another one that it needs.
        """
        if "api-key" in self.auth_modes and self.api_keys is None:
            raise SettingsError("SENTIMENT_AUTH=api-key needs SENTIMENT_API_KEYS, a file.")
        if "oidc" in self.auth_modes:
            if self.oidc_issuer is None or self.oidc_audience is None:
                raise SettingsError(
                    "SENTIMENT_AUTH=oidc needs SENTIMENT_OIDC_ISSUER and SENTIMENT_OIDC_AUDIENCE."
                )
            if not trustworthy(self.oidc_issuer):
                raise SettingsError(
                    "SENTIMENT_OIDC_ISSUER must start with https:// (or http://localhost)."
                )
        if self.quota_redis is not None:
            if self.quota is None:
                raise SettingsError("SENTIMENT_QUOTA_REDIS is of no use without SENTIMENT_QUOTA.")
            if not self.quota_redis.get_secret_value().startswith(("redis://", "rediss://")):
                raise SettingsError("SENTIMENT_QUOTA_REDIS must start with redis:// or rediss://.")
        return self

    @property
    def texts_per_request(self) -> int:
        """What one request may have: more texts than a quota can never pass."""
        quota = self.max_texts if self.quota is None else int(self.quota.split("/")[0])
        return min(self.max_texts, quota)

    @property
    def auth_modes(self) -> tuple[str, ...]:
        """The ways to identify oneself; none if all may come in."""
        return () if self.auth == "none" else tuple(self.auth.split(","))
