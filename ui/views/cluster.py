"""Cluster: the replicas of each backend as they come and go, beside the load."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from ui import frame, states
from ui.answers import Cluster, Deployment
from ui.charts import cluster as charts
from ui.errors import ForbiddenError, NotThereError, ServiceError
from ui.frame import Frame
from ui.words import count, escaped

OWN = "Not yet answered, of the ingress replica that was asked; where there are several, ask again."


def main() -> None:
    page = frame.page("Cluster", "The replicas of each backend, and the load they answer to.")
    with st.container(horizontal=True, vertical_alignment="center"):
        live = st.toggle("Live", value=True, key="live", persist_state="session")
        _links(page)
    st.fragment(_live, run_every=page.settings.poll_s if live else None)(page)


def _links(page: Frame) -> None:
    links = {
        "Ray dashboard": (page.settings.dashboard_url, ":material/dashboard:"),
        "Grafana": (page.settings.grafana_url, ":material/monitoring:"),
    }
    for name, (url, icon) in links.items():
        if url:
            st.link_button(name, url, icon=icon)


def _live(page: Frame) -> None:
    watch = page.service.watch
    try:
        look = watch.now()
    except NotThereError:
        st.warning(
            "**This service does not tell about its replicas yet.** It has no cluster route; "
            "bring it to a version that has one, and they appear here.",
            icon=":material/wrong_location:",
        )
        return
    except ForbiddenError as error:
        error.remedy = "Whoever runs the service gives the page's key the scope `cluster`."
        states.show(error)
        return
    except ServiceError as error:
        states.show(page.service.client.diagnose(error))
        return
    _now(look.cluster.deployments)
    looks = watch.looks()
    st.subheader("Replicas", anchor=False)
    st.altair_chart(
        charts.replicas(looks),
        width="stretch",
        key="replicas",
        alt="Running and target replicas of each backend over time",
    )
    st.subheader("Load", anchor=False)
    st.altair_chart(
        charts.load(looks),
        width="stretch",
        key="load_chart",
        alt="Waiting texts of each backend over time",
    )
    _certificates(look.cluster)
    st.caption(f"Seen at {look.at:%H:%M:%S} UTC.")


def _now(deployments: Mapping[str, Deployment]) -> None:
    for column, (name, found) in zip(
        st.columns(max(1, len(deployments))), deployments.items(), strict=False
    ):
        with column, st.container(border=True):
            st.subheader(escaped(charts.name_of(name)), anchor=False)
            with st.container(horizontal=True, gap="medium"):
                st.metric(
                    "Running",
                    f"{found.running} of {found.target}",
                    width="content",
                    help="Of those that are not stopping; while new ones replace old ones, both.",
                )
                st.metric(
                    "In the replicas",
                    count(sum(replica.texts for replica in found.replicas)),
                    width="content",
                    help="Texts that the replicas have in hand, of all ingress replicas.",
                )
                st.metric("Waiting texts", count(found.waiting_texts), width="content", help=OWN)
                st.metric("Requests", count(found.ongoing_requests), width="content", help=OWN)


def _certificates(cluster: Cluster) -> None:
    rows = [
        {
            "backend": charts.name_of(name),
            "replica": replica.id,
            "node": replica.node,
            **(replica.certificate.model_dump() if replica.certificate else {}),
        }
        for name, deployment in cluster.deployments.items()
        for replica in deployment.replicas
    ]
    if not rows:
        return
    st.subheader("Certificates", anchor=False)
    st.caption("What each replica found when it replayed the golden texts on its own CPU at start.")
    config = st.column_config
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "backend": "Backend",
            "replica": "Replica",
            "node": "Node",
            "precision": "Precision",
            "cpu": "CPU",
            "max_difference": config.NumberColumn("Largest difference", format="%.2e"),
            "batch_drift": config.NumberColumn("Drift in a batch", format="%.2e"),
            "flips": "Labels changed",
            "passed": config.CheckboxColumn("Passed"),
        },
    )


main()
