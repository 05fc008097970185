import pytest
from pydantic import ValidationError

from ui.settings import Settings


def test_they_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_UI_API_URL", "https://api.example.org/v1/")
    monkeypatch.setenv("SENTIMENT_UI_EXAMPLES", '["one", "two"]')
    monkeypatch.setenv("SENTIMENT_UI_LOGIN", "oidc")
    found = Settings()
    assert found.api_url == found.people_url == "https://api.example.org/v1"
    assert found.examples == ("one", "two")
    assert found.login == "oidc"


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "DASHBOARD_URL", "GRAFANA_URL", "PUBLIC_API_URL", "CA_FILE"):
        monkeypatch.setenv(f"SENTIMENT_UI_{name}", "")
    found = Settings()
    assert (found.api_key, found.dashboard_url, found.grafana_url) == (None, None, None)


def test_who_is_allowed_is_listed_by_comma(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().allowed == ()
    monkeypatch.setenv("SENTIMENT_UI_ALLOWED", "Ann@example.org, @Example.com,")
    assert Settings().allowed == ("ann@example.org", "@example.com")
    monkeypatch.setenv("SENTIMENT_UI_ALLOWED", "example.com")
    with pytest.raises(ValidationError, match="has an @"):
        Settings()


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(api_key="secret"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("API_URL", "nowhere"), ("LOGIN", "maybe"), ("MAX_UPLOAD_MB", "0"), ("TIMEOUT_S", "soon")],
)
def test_a_wrong_value_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SENTIMENT_UI_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_key_out_of_a_file_has_no_line_end() -> None:
    key = Settings(api_key="abc\n").api_key
    assert key is not None
    assert key.get_secret_value() == "abc"
    with pytest.raises(ValidationError, match="printable ones of ASCII") as told:
        Settings(api_key="schlüssel")
    assert "schlüssel" not in str(told.value)
