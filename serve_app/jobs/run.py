"""`sentiment run`: the whole service on this machine, until Ctrl-C.

Prepares the model if that was not done, starts Ray Serve and the Streamlit page, prints where they
answer, streams their logs and ends everything it started.
"""

import argparse
import ipaddress
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path

from serve_app.jobs import preflight
from serve_app.jobs.arguments import port
from serve_app.jobs.source import BUNDLED, prepared_folder
from serve_app.jobs.stopping import heard
from serve_app.local_cluster import START_S, ClusterError, LocalCluster
from serve_app.ray_environment import has_haproxy
from serve_app.serve_config import BASE, LOCAL, ROOT, Config, ConfigError, least_cpus, load

STOP_S = 10.0
"""After so long the page is killed."""
HERE = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""What is on this machine is asked without a proxy."""
TELL_S = 30.0
"""After so long without an answer, and every so long again, it is said what there is instead."""


def main(argv: Sequence[str]) -> int:
    """Returns 0 after Ctrl-C or SIGTERM, 1 where the service could not be started."""
    options = _parser().parse_args(argv)
    stopped = threading.Event()
    for number in heard():
        signal.signal(number, lambda *_: stopped.set())
    begin = time.monotonic()
    if not BASE.exists():
        _say(f"`sentiment run` works from the repository, of which this is a copy: no {BASE.name}.")
        return 1
    page = options.page and find_spec("streamlit") is not None
    ports = {
        "API": (options.host, options.port),
        "dashboard": ("127.0.0.1", options.dashboard_port),
    }
    if page:
        ports["page"] = (options.host, options.page_port)
    try:
        config = load(BASE, LOCAL, {"http_options": {"host": options.host, "port": options.port}})
        for warning in preflight.check_settings():
            _say(warning)
        for warning in preflight.check(ports, least_cpus(config), preflight.cpus()):
            _say(warning)
        _warn_of_open_ports(options.host)
        folder = _prepare(options, stopped)
        if stopped.is_set():
            return 0
        return _serve(options, config, folder, page, begin, stopped)
    except (preflight.NotPossibleError, ClusterError, ConfigError) as error:
        if stopped.is_set():  # Ctrl-C ends the preparation too
            return 0
        _say(str(error))
        return 1


def _serve(
    options: argparse.Namespace,
    config: Config,
    folder: Path,
    page: bool,
    begin: float,
    stopped: threading.Event,
) -> int:
    _say("Starting Ray Serve …")
    pages: list[subprocess.Popen[bytes]] = []
    api = f"http://{_reachable(options.host)}:{options.port}"
    try:
        with LocalCluster(
            config,
            {"SENTIMENT_MODEL": str(folder)},
            dashboard_port=options.dashboard_port,
            logs=True,
        ) as cluster:
            if page:
                pages.append(_start_page(options, api))
            going_on = _until(stopped, pages)
            up = cluster.wait(START_S, going_on) and _answers(f"{api}/ready", going_on)
            if up and page:
                up = _answers(
                    f"http://{_reachable(options.host)}:{options.page_port}/_stcore/health",
                    going_on,
                )
            if up:
                _say_where(options, api, page, time.monotonic() - begin)
            while going_on():
                stopped.wait(0.5)
            _say("Stopping …")
    finally:
        for process in pages:
            _end(process)
    if not stopped.is_set():
        raise ClusterError("The page's process ended by itself; its last lines say why.")
    _say("Stopped.")
    return 0


def _prepare(options: argparse.Namespace, stopped: threading.Event) -> Path:
    """Prepare the model in a process of its own, whose memory is free again afterwards.

    Raises:
        ClusterError: preparation failed and has said why.
    """
    folder = prepared_folder(options.model)
    command = [sys.executable, "-m", "serve_app.cli", "prepare", "--model", options.model]
    command += ["--precision", options.precision]
    if options.revision:
        command += ["--revision", options.revision]
    with subprocess.Popen([*command, "--output", str(folder)]) as preparing:
        while preparing.poll() is None:
            if stopped.wait(0.05):  # SIGTERM comes to us alone, Ctrl-C to the whole terminal
                preparing.terminate()
                preparing.wait()
    if preparing.returncode:
        raise ClusterError("The model could not be prepared.")
    return folder


def _start_page(options: argparse.Namespace, api: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "SENTIMENT_UI_API_URL": os.environ.get("SENTIMENT_UI_API_URL", api),
        "SENTIMENT_UI_DASHBOARD_URL": os.environ.get(
            "SENTIMENT_UI_DASHBOARD_URL", f"http://127.0.0.1:{options.dashboard_port}"
        ),
    }
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "ui" / "app.py")]
    flags = {
        "server.port": options.page_port,
        "server.address": options.host,
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    # Its own session: Ctrl-C is for us to hear, and we end it in order.
    return subprocess.Popen(
        command + [f"--{key}={value}" for key, value in flags.items()],
        env=environment,
        cwd=ROOT / "ui",
        start_new_session=True,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _until(
    stopped: threading.Event, children: Sequence["subprocess.Popen[bytes]"]
) -> Callable[[], bool]:
    return lambda: not stopped.is_set() and all(child.poll() is None for child in children)


def _answers(url: str, going_on: Callable[[], bool]) -> bool:
    """Wait until `url` answers 200; False if `going_on` says to give up."""
    due = time.monotonic() + TELL_S
    while going_on():
        instead = _instead(url)
        if instead is None:
            return True
        if time.monotonic() > due:
            _say(f"Still waiting for {url}; it says: {instead}")
            due += TELL_S
        time.sleep(0.1)
    return False


def _instead(url: str) -> str | None:
    """What an address says instead of 200; None if it says that."""
    try:
        try:
            with HERE.open(url, timeout=5):
                return None
        except urllib.error.HTTPError as error:
            return error.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return str(error) or type(error).__name__


def _reachable(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host


def _warn_of_open_ports(host: str) -> None:
    if not _is_loopback(host):
        _say(
            f"HOST={host}: the API and the page are open to whoever reaches this machine;"
            " set SENTIMENT_AUTH to ask for keys."
        )
    if has_haproxy():
        _say("HAProxy's statistics are open on every interface, to be read.")
    else:
        _say("There is no HAProxy for this system: Ray Serve's own proxy serves, which is slower.")
    _say(
        "Ray's own ports listen on every interface. They ask for the token in ~/.ray/auth_token,"
        " as the dashboard does."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say_where(options: argparse.Namespace, api: str, page: bool, seconds: float) -> None:
    lines = ["", f"Ready after {seconds:.0f} s:", f"  API        {api}/docs"]
    if page:
        lines.append(f"  page       http://{_reachable(options.host)}:{options.page_port}")
    lines += [
        f"  dashboard  http://127.0.0.1:{options.dashboard_port}",
        "",
        "  curl -s -H 'Content-Type: application/json' -d '{\"input\": \"A lovely film.\"}' \\",
        f"    {api}/onnx/infer",
        "",
        "Ctrl-C ends all of it.",
        "",
    ]
    print("\n".join(lines), flush=True)


def _say(sentence: str) -> None:
    print(f"sentiment: {sentence}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentiment run", description="Serve on this machine, until Ctrl-C."
    )
    parser.add_argument("--model", default=str(ROOT / BUNDLED), help="hub id or folder to serve")
    parser.add_argument("--revision", help="commit, tag or branch of a hub model")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "int8"), default="auto", help="of ONNX"
    )
    parser.add_argument("--host", default="127.0.0.1", help="where API and page listen")
    parser.add_argument("--port", type=port, default=8000, help="of the API")
    parser.add_argument("--page-port", type=port, default=8501, help="of the Streamlit page")
    parser.add_argument("--dashboard-port", type=port, default=8265, help="of the Ray dashboard")
    parser.add_argument("--no-page", dest="page", action="store_false", help="the API alone")
    return parser
