"""Who may see the pages, where they stand on a public address."""

from collections.abc import Mapping

import streamlit as st

from ui.settings import Settings


def required(settings: Settings) -> None:
    """Where the settings ask for it, let only those on who have logged in."""
    if settings.login == "none":
        return
    try:
        known = bool(st.user.is_logged_in)
    except (AttributeError, KeyError):
        _not_set_up()
    if known and not _allowed(st.user.to_dict(), settings.allowed):
        st.error("**This account may not use the page.**", icon=":material/block:")
        _log_out()
        st.stop()
    if known:
        with st.sidebar:
            st.caption(str(st.user.get("email") or st.user.get("name") or "Logged in"))
            _log_out()
        return
    st.title("Sentiment", anchor=False)
    st.write("These pages are for people who have logged in.")
    st.button("Log in", icon=":material/login:", type="primary", on_click=st.login)
    st.stop()


def _allowed(user: Mapping[str, object], allowed: tuple[str, ...]) -> bool:
    """Whether an address is listed, itself or its domain, and the issuer has verified it."""
    address = str(user.get("email")).casefold()
    _, at, domain = address.rpartition("@")
    listed = address in allowed or at + domain in allowed
    return not allowed or (listed and user.get("email_verified") is True)


def _log_out() -> None:
    st.button("Log out", icon=":material/logout:", on_click=st.logout)


def _not_set_up() -> None:
    st.error(
        "**Login is asked for and not set up.** Whoever runs the page gives Streamlit an "
        "`[auth]` section in `.streamlit/secrets.toml`, or sets SENTIMENT_UI_LOGIN to `none`.",
        icon=":material/lock:",
    )
    st.stop()
