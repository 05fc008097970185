"""What all sessions share: one client, and what the service last said of itself."""

import streamlit as st

from ui.answers import Info
from ui.client import Client
from ui.errors import ForbiddenError, NotThereError, ServiceError
from ui.recent import Recent
from ui.settings import Settings
from ui.watch import Watch


class Service:
    """The service as the pages see it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = Client(settings)
        self.watch = Watch(self.client, settings.poll_s)
        self._info = Recent(self._describe, settings.info_ttl_s)

    def info(self) -> Info:
        """Say what is served; raise what keeps the pages from working at all."""
        return self._info.get()

    def _describe(self) -> Info:
        try:
            return self.client.info()
        except ForbiddenError:
            return Info()
        except ServiceError as error:
            found = self.client.diagnose(error)
            if isinstance(found, NotThereError):
                return Info()
            raise found from error


@st.cache_resource(show_spinner=False, hash_funcs={Settings: hash}, max_entries=8)
def service(settings: Settings) -> Service:
    return Service(settings)
