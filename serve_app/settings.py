"""Every setting that comes from the environment, typed, in one place.

Deployments, autoscaling, CPUs and threads are not here: they are in `serve_config.yaml`.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


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
    max_spool_bytes: int = Field(
        default=1_000_000_000,
        ge=1,
        description="Bytes of one streamed upload that may wait on disk; more end it with 413.",
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
        description="Seconds after which `auto` asks torch in the place of ONNX.",
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
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins, by comma, whose pages may call the API from a browser; `*` for all.",
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _by_comma(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value
