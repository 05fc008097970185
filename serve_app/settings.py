"""Every setting that comes from the environment, typed, in one place.

Deployments, autoscaling, CPUs and threads are not here: they are in `serve_config.yaml`.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the service; each is read from `SENTIMENT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SENTIMENT_", extra="ignore", frozen=True)

    model: Path = Field(
        default=Path(".cache/prepared/model"),
        description="The prepared folder that is served (`sentiment prepare` makes it).",
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
    max_waiting_texts: int = Field(
        default=1024,
        ge=1,
        description="Texts that may wait for one backend in one ingress replica; more get 503.",
    )
    texts_per_call: int = Field(
        default=32,
        ge=1,
        description="Most waiting texts that one call to a replica carries.",
    )
    calls_per_replica: int = Field(
        default=3,
        ge=1,
        description="Calls that one ingress replica keeps in flight for each model replica.",
    )
