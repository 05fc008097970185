"""A rehearsal of the rendered manifests with real processes on several hosts.

The commands, resources, environment and Serve configuration are those that the manifests carry;
the hosts are network namespaces. Deploy, call, drain a worker, lose the head, recover.
"""

import contextlib
import io
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from serve_app.jobs.key import main as key_main
from serve_app.jobs.manifests import render
from tests.cluster.hosts import Host, network, until
from tests.cluster.kuberay import RayPods

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2"),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]


@dataclass
class Rehearsal:
    """The hosts, what the operator would do to them, and the clients' view."""

    hosts: dict[str, Host]
    pods: RayPods
    token: str
    key: str
    wanted: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        self.log.append(f"{time.monotonic() - self.begin:6.1f} s  {what}")
        print(self.log[-1], flush=True)

    def start(self, *names: str) -> None:
        """Make these pods, and make them again when they die, as the operator would."""
        self.wanted |= set(names)
        for name in names:
            made = self.pods.head() if name == "head" else self.pods.worker()
            self.hosts[name].start(*made)

    def lose(self, name: str) -> None:
        """End a host at once; nothing takes its place until it is started."""
        self.wanted.discard(name)
        self.hosts[name].lose()

    def answers(self) -> bool:
        """Whether the head does."""
        for name in self.wanted:
            if all(process.poll() is not None for process in self.hosts[name].processes):
                self.say(f"{name} has died and is made again")
                self.start(name)
        return self.dashboard("GET", "/api/version").ok

    def dashboard(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"http://{self.hosts['head'].address}:8265{path}"
        return requests.request(method, url, headers=headers, timeout=60, **options)

    def deploy(self, config: dict[str, Any] | None = None) -> bool:
        """Apply a Serve configuration; the operator tries again until it is taken, too."""
        body = config or self.pods.serve_config
        return self.answers() and self.dashboard("PUT", "/api/serve/applications/", json=body).ok

    def statuses(self) -> dict[str, str]:
        answer = self.dashboard("GET", "/api/serve/applications/").json()["applications"]
        return {name: app["status"] for name, app in answer.items()}

    def running(self) -> bool:
        return self.answers() and self.statuses() == {"sentiment": "RUNNING"}

    def ask(self, worker: str, route: str) -> str:
        answer = requests.post(
            f"http://{self.hosts[worker].address}:8000/{route}/infer",
            json={"input": "A lovely film."},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        answer.raise_for_status()
        label: str = answer.json()[0]["label"]
        return label

    def ready(self, worker: str) -> bool:
        url = f"http://{self.hosts[worker].address}:8000/-/healthz"
        return requests.get(url, timeout=5).status_code == 200


class Load:
    """Requests one after the other to one worker until told to stop."""

    def __init__(self, rehearsal: Rehearsal, worker: str) -> None:
        self.answers = 0
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(rehearsal, worker), daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self, rehearsal: Rehearsal, worker: str) -> None:
        while not self._stop.wait(0.05):
            try:
                rehearsal.ask(worker, "transformers" if self.answers % 2 else "onnx")
                self.answers += 1
            except Exception as error:
                self.errors.append(f"{time.monotonic() - rehearsal.begin:.1f} s: {error}")


@pytest.fixture(scope="module")
def rehearsal(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    # Sockets have short paths.
    folder = tmp_path_factory.mktemp("r")
    keys = folder / "keys"
    values = {"redis": secrets.token_hex(16), "ray-auth-token": secrets.token_hex(32)}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert key_main(["create", "--file", str(keys), "--name", "rehearsal"]) == 0
    key = out.getvalue().split()[-1]
    own = {"SENTIMENT_MODEL": str(prepared), "SENTIMENT_API_KEYS": "/tmp/keys"}
    with network(folder, "redis", "head", "one", "two") as hosts:
        pods = RayPods(render("local"), own, values, hosts["head"].address)
        for host in hosts.values():
            shutil.copy(keys, host.tmp)
        made = Rehearsal(hosts, pods, values["ray-auth-token"], key)
        hosts["redis"].start(
            f"exec redis-server --dir /tmp --appendonly yes --bind 0.0.0.0"
            f" --requirepass {values['redis']}",
            {},
        )
        try:
            yield made
        finally:
            print("\n".join(made.log))
            keep = os.environ.get("SENTIMENT_REHEARSAL_LOGS")
            if keep:
                for host in hosts.values():
                    target = Path(keep) / host.name
                    target.mkdir(parents=True, exist_ok=True)
                    (target / "log").write_text(host.log, encoding="utf-8")


def test_deploys_as_the_operator_does(rehearsal: Rehearsal) -> None:
    rehearsal.start("head")
    until("the dashboard answers", 120, rehearsal.answers)
    rehearsal.say("head is up")
    rehearsal.start("one", "two")
    until("the configuration is taken", 120, rehearsal.deploy)
    rehearsal.say("configuration is applied")
    until("the application runs", 240, rehearsal.running)
    rehearsal.say("application runs")
    ready = [name for name in ("one", "two") if _quietly(rehearsal.ready, name)]
    assert ready
    for route in ("transformers", "onnx"):
        assert rehearsal.ask(ready[0], route) == "POSITIVE"
    rehearsal.say(f"both routes answer through {', '.join(ready)}")


def test_ports_of_the_head_ask_for_the_token(rehearsal: Rehearsal) -> None:
    url = f"http://{rehearsal.hosts['head'].address}:8265/api/serve/applications/"
    assert requests.get(url, timeout=10).status_code == 401
    wrong = {"Authorization": f"Bearer {'0' * 64}"}
    assert requests.get(url, headers=wrong, timeout=10).status_code in (401, 403)


def test_probes_are_answered_without_a_token(rehearsal: Rehearsal) -> None:
    for name in ("head", _serving(rehearsal)):
        url = f"http://{rehearsal.hosts[name].address}:52365/api/healthz"
        assert requests.get(url, timeout=10).status_code == 200, name


def test_routes_ask_for_a_key(rehearsal: Rehearsal) -> None:
    worker = _serving(rehearsal)
    url = f"http://{rehearsal.hosts[worker].address}:8000/onnx/infer"
    assert requests.post(url, json={"input": "x"}, timeout=10).status_code == 401


@pytest.mark.long
def test_upgrades_in_place_under_load(rehearsal: Rehearsal) -> None:
    config = rehearsal.pods.serve_config
    for deployment in config["applications"][0]["deployments"]:
        if "user_config" in deployment:
            deployment["user_config"] = {**deployment["user_config"], "batch_texts": 4}
    with Load(rehearsal, _serving(rehearsal)) as load:
        assert rehearsal.deploy(config)
        time.sleep(1)
        until("the application runs", 120, rehearsal.running)
        time.sleep(3)
    rehearsal.say(f"upgraded in place: {load.answers} answers, {len(load.errors)} errors")
    assert load.answers
    assert not load.errors


@pytest.mark.long
def test_loses_the_head_and_recovers(rehearsal: Rehearsal) -> None:
    with Load(rehearsal, _serving(rehearsal)) as load:
        time.sleep(2)
        rehearsal.lose("head")
        lost = time.monotonic()
        rehearsal.say("head is lost")
        time.sleep(8)
        rehearsal.start("head")
        until("the dashboard answers", 90, rehearsal.answers)
        until("the application runs", 240, rehearsal.running)
        rehearsal.say(f"application runs again after {time.monotonic() - lost:.0f} s")
        time.sleep(3)
    rehearsal.say(f"head lost: {load.answers} answers, {len(load.errors)} errors {load.errors[:3]}")
    assert load.answers > 20
    assert not load.errors


@pytest.mark.long
def test_a_worker_drains(rehearsal: Rehearsal) -> None:
    leaving = _serving(rehearsal)
    staying = "two" if leaving == "one" else "one"
    begin = time.monotonic()
    code = rehearsal.hosts[leaving].run(rehearsal.pods.drain(), rehearsal.pods.worker()[1])
    rehearsal.say(f"{leaving} drained in {time.monotonic() - begin:.0f} s")
    assert code == 0
    assert "Ray moves the replicas" in rehearsal.hosts[leaving].log
    rehearsal.lose(leaving)
    until("the application runs", 120, rehearsal.running)
    until(f"{staying} answers", 60, lambda: rehearsal.ask(staying, "onnx"))
    for route in ("transformers", "onnx"):
        assert rehearsal.ask(staying, route) == "POSITIVE"
    rehearsal.say(f"both routes answer through {staying}")


def _serving(rehearsal: Rehearsal) -> str:
    serving = [name for name in ("one", "two") if _quietly(rehearsal.ready, name)]
    assert serving
    return serving[0]


def _quietly(function: Any, *arguments: Any) -> bool:
    try:
        return bool(function(*arguments))
    except requests.RequestException:
        return False
