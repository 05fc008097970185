"""What stands around every page: its name, what is served, and whether it can be asked."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from ui import states
from ui.answers import BACKENDS, NAMES, Backend, Info
from ui.errors import ServiceError
from ui.labels import BadgeColour
from ui.service import Service, service
from ui.settings import Settings
from ui.words import escaped, listed

COLOURS: dict[Backend, BadgeColour] = {"transformers": "orange", "onnx": "blue"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page gets to work with."""

    service: Service
    info: Info

    @property
    def settings(self) -> Settings:
        return self.service.settings


def settings() -> Settings:
    """Read the settings; where one is wrong, name it and end the page here."""
    try:
        return Settings()
    except ValidationError as error:
        names = [f"SENTIMENT_UI_{str(e['loc'][0]).upper()}" for e in error.errors() if e["loc"]]
        st.error(
            f"**The page is not set up: {escaped(listed(names))} cannot be read.** "
            "Whoever runs the page corrects it and restarts it.",
            icon=":material/settings_alert:",
        )
        st.stop()


def page(title: str, about: str) -> Frame:
    """Begin a page; where the service cannot be asked, say so, and go on with what it said before.

    A page that was never told what is served ends here; another keeps its results in sight.
    """
    found = service(settings())
    st.title(title, anchor=False)
    st.caption(about)
    try:
        info = found.info()
    except ServiceError as error:
        states.until_mended(error, found.info, found.settings.poll_s)
        if "info" not in st.session_state:
            st.stop()
        info = st.session_state["info"]
    st.session_state["info"] = info
    _served(info)
    return Frame(found, info)


def _served(info: Info) -> None:
    """Name the model, and what each backend computes it with."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if info.model.id != Info().model.id:
            st.badge(escaped(info.model.id), icon=":material/model_training:", color="gray")
        for backend in BACKENDS:
            if backend in info.backends:
                there = info.backends[backend] is not None
                budget = str(info.backend(backend)) if there else "not ready"
                st.badge(
                    f"{NAMES[backend]}: {escaped(budget)}",
                    icon=":material/memory:" if there else ":material/hourglass_top:",
                    color=COLOURS[backend] if there else "gray",
                )
        if info.model.labels:
            with st.popover("About", icon=":material/info:", type="tertiary"):
                st.table(about(info), border="horizontal", hide_header=True)


def about(info: Info) -> pd.DataFrame:
    """What the service says of its model, a line each."""
    model = info.model
    lines: dict[str, object] = {
        "Model": model.id,
        "Revision": model.revision,
        "Licence": model.licence,
        "Labels": ", ".join(model.labels),
        "Longest text": f"{model.max_length} tokens" if model.max_length else None,
        "Texts in a request": info.limits.max_texts,
        "Configuration": info.config_hash,
        **info.versions,
    }
    told = {name: escaped(str(value)) for name, value in lines.items() if value is not None}
    return pd.DataFrame(told.values(), index=list(told))
