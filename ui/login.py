"""Who may see the pages, where they stand on a public address."""

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
    if known:
        with st.sidebar:
            st.caption(str(st.user.get("email") or st.user.get("name") or "Logged in"))
            st.button("Log out", icon=":material/logout:", on_click=st.logout)
        return
    st.title("Sentiment", anchor=False)
    st.write("These pages are for people who have logged in.")
    st.button("Log in", icon=":material/login:", type="primary", on_click=st.login)
    st.stop()


def _not_set_up() -> None:
    st.error(
        "**Login is asked for and not set up.** Whoever runs the page gives Streamlit an "
        "`[auth]` section in `.streamlit/secrets.toml`, or sets SENTIMENT_UI_LOGIN to `none`.",
        icon=":material/lock:",
    )
    st.stop()
