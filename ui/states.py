"""How a page looks when the service cannot do its part: a sentence, what to do, and when."""

import math
import time
from collections.abc import Callable

import streamlit as st

from ui import errors
from ui.errors import ServiceError
from ui.words import duration, escaped

_ICONS: dict[type[ServiceError], str] = {
    errors.UnreachableError: ":material/cloud_off:",
    errors.StartingError: ":material/hourglass_top:",
    errors.TimedOutError: ":material/timer_off:",
    errors.UnauthorizedError: ":material/key_off:",
    errors.ForbiddenError: ":material/block:",
    errors.NotThereError: ":material/wrong_location:",
    errors.TooLargeError: ":material/file_present:",
    errors.InvalidError: ":material/edit_note:",
    errors.OverQuotaError: ":material/timer:",
    errors.OverloadedError: ":material/traffic:",
}


def show(error: ServiceError) -> None:
    """Say what happened and what to do; never how the page's code came to know."""
    box = st.warning if error.passing else st.error
    box(told(error), icon=_ICONS.get(type(error), ":material/error:"))


def told(error: ServiceError) -> str:
    """Put an error into the text of its box."""
    lines = [f"**{escaped(error.sentence)}** {escaped(error.remedy)}"]
    if error.detail:
        about = f" (field `{error.field.replace('`', '')}`)" if error.field else ""
        lines.append(f"The service says: {escaped(error.detail)}{about}")
    if error.request_id and not error.passing:
        lines.append(f"Request id: `{error.request_id.replace('`', '')}`")
    return "\n\n".join(lines)


def wait(error: ServiceError, key: str) -> bool:
    """Count down to when the service may be asked again; say whether that is still to come."""
    ends = f"{key}_until"
    if error.retry_after is not None and st.session_state.get(f"{key}_error") is not error:
        st.session_state[f"{key}_error"] = error
        st.session_state[ends] = time.monotonic() + error.retry_after
        st.session_state[f"{key}_span"] = max(error.retry_after, 1.0)
    if time.monotonic() >= st.session_state.get(ends, 0.0):
        return False
    _countdown(key)
    return True


@st.fragment(run_every=1)
def _countdown(key: str) -> None:
    left = st.session_state.get(f"{key}_until", 0.0) - time.monotonic()
    if left <= 0:
        st.rerun()
    share = min(1.0, left / st.session_state.get(f"{key}_span", 1.0))
    st.progress(share, text=f"You can ask again in {duration(math.ceil(left))}.")


def until_mended(error: ServiceError, again: Callable[[], object], seconds: float) -> None:
    """Show why the page cannot work, and go on by itself as soon as it can."""
    show(error)
    if error.passing:
        st.caption("The page looks again by itself.")
        _look_again(again, seconds)
    if st.button("Look again", icon=":material/refresh:"):
        st.rerun()


def _look_again(again: Callable[[], object], seconds: float) -> None:
    started = time.monotonic()

    @st.fragment(run_every=seconds)
    def look() -> None:
        if time.monotonic() - started < seconds / 2:
            return
        try:
            again()
        except ServiceError as error:
            st.caption(f"Looked again just now: {escaped(error.sentence)}")
        else:
            st.rerun()

    look()
