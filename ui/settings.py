"""Every environment variable of the page, typed, in one place."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    HttpUrl,
    SecretStr,
    TypeAdapter,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

EXAMPLES = (
    "A charming and often affecting journey.",
    "The plot is thin, the jokes are old, and it never ends.",
    "Not bad at all, though I would not see it twice.",
    "The battery died after two days and support never answered.",
    "It arrived on Tuesday, in a brown box.",
)


def _address(value: str) -> str:
    """Keep addresses as text without a closing slash, so that paths can be put behind them."""
    TypeAdapter(HttpUrl).validate_python(value)
    return value.rstrip("/")


def _unset(value: object) -> object:
    """An empty variable, as deployment files like to leave them, says nothing."""
    return None if value == "" else value


def _key(value: object) -> object:
    """A key as a header can carry it; files end with a line end."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if not (value.isascii() and value.isprintable()):
        raise ValueError("a key has no characters but printable ones of ASCII")
    return value or None


def _people(value: object) -> object:
    """Addresses in one case, as people write them in several."""
    if not isinstance(value, str):
        return value
    people = [part.strip().casefold() for part in value.split(",") if part.strip()]
    if not all("@" in part for part in people):
        raise ValueError("an address or a domain has an @")
    return people


Address = Annotated[str, AfterValidator(_address)]
OptionalAddress = Annotated[Address | None, BeforeValidator(_unset)]


class Settings(BaseSettings):
    """Read from variables named `SENTIMENT_UI_` and the field's name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="SENTIMENT_UI_",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # it may be the key
    )

    api_url: Address = "http://127.0.0.1:8000"
    """Where the page reaches the service."""
    public_api_url: OptionalAddress = None
    """Where people reach the service, for the `curl` lines; the address above where unset."""
    api_key: Annotated[SecretStr | None, BeforeValidator(_key)] = None
    """The page's own key; it stays on the server side."""
    ca_file: Annotated[FilePath | None, BeforeValidator(_unset)] = None
    """Certificate authorities for an https address with a private one."""
    dashboard_url: OptionalAddress = "http://127.0.0.1:8265"
    """Link to the Ray dashboard; the page itself never calls it."""
    grafana_url: OptionalAddress = None
    """Link to Grafana."""
    login: Literal["none", "oidc"] = "none"
    """`oidc` lets nobody in without Streamlit's own `st.login`."""
    allowed: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_people)] = ()
    """Whom `oidc` lets in: addresses and `@domain`s, by comma; if unset, all the issuer knows."""
    examples: tuple[str, ...] = EXAMPLES
    """Example texts, as a JSON list."""

    connect_timeout_s: float = Field(default=2.0, gt=0)
    """Seconds until a service that cannot be reached is called down."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds the page waits for an answer, or for the next piece of one."""
    info_ttl_s: float = Field(default=10.0, gt=0)
    """Seconds an answer of `/info` is good."""
    poll_s: float = Field(default=2.0, ge=0.5)
    """Seconds after which an open page looks again at what changes by itself."""

    max_upload_mb: int = Field(default=50, ge=1, le=200)
    """Size of one file the page takes."""
    max_rows: int = Field(default=200_000, ge=1)
    """Rows of one file the page takes; more go to the stream route by `curl`."""
    rows_per_request: int = Field(default=2_000, ge=1)
    """Rows of one call of the stream route: short calls survive a proxy that reloads."""
    max_requests: int = Field(default=1_000, ge=10)
    """Requests a backend on the Latency page."""
    max_concurrency: int = Field(default=64, ge=1, le=256)
    """Requests the Latency page may have under way at a backend."""
    history_rows: int = Field(default=500, ge=1)
    """Comparisons a session remembers."""

    @property
    def people_url(self) -> str:
        return self.public_api_url or self.api_url
