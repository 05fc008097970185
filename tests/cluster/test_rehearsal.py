"""A rehearsal of the rendered manifests with real processes on several hosts.

The commands, resources, environment and Serve configuration are those that the manifests carry;
the hosts are namespaces of this machine, the balancer before them an HAProxy. Deploy, call, upgrade
in place; by `make rehearse` also drain a worker, lose the head, lose Redis, and upgrade to a second
cluster, of a broken model and of a good one.
"""

import contextlib
import copy
import io
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kuberay.manifests import Manifest, render
from serve_app.jobs.key import main as key_main
from serve_app.serve_config import hash_of, with_hash
from tests.cluster.balancer import Balancer
from tests.cluster.hosts import Host, network, until
from tests.cluster.kuberay import RayPods

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2"),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]
ROUTES = ("transformers", "onnx")
LIMIT_S = 240
"""Of every wait; an event ends it, and a machine with other work is slow."""


class RayCluster:
    """One Ray cluster: its hosts, and what the operator does to them.

    Args:
        head: where its head runs.
        workers: where its workers run.
        pods: what the operator starts there.
        token: that the dashboard asks for.
    """

    def __init__(self, head: Host, workers: list[Host], pods: RayPods, token: str) -> None:
        self.head = head
        self.workers = workers
        self.pods = pods
        self.token = token
        self._wanted: set[str] = set()

    def start(self, *hosts: Host) -> None:
        """Make these pods, and make them again when they die, as the operator would."""
        for host in hosts:
            self._wanted.add(host.name)
            host.start(*(self.pods.head() if host is self.head else self.pods.worker()))

    def lose(self, host: Host) -> None:
        """End a host at once; nothing takes its place until it is started."""
        self._wanted.discard(host.name)
        host.lose()

    def drain(self, host: Host) -> "subprocess.Popen[bytes]":
        """Begin a worker's preStop."""
        return host.start(self.pods.drain(), self.pods.worker()[1])

    def answers(self) -> bool:
        """Whether the head does."""
        for host in (self.head, *self.workers):
            if host.name in self._wanted and host.died:
                self.start(host)
        return self.dashboard("GET", "/api/version").ok

    def dashboard(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"http://{self.head.address}:8265{path}"
        return requests.request(method, url, headers=headers, timeout=60, **options)

    def deploy(self, config: dict[str, Any] | None = None) -> bool:
        """Apply a Serve configuration; the operator tries again until it is taken, too."""
        body = config or self.pods.serve_config
        return self.answers() and self.dashboard("PUT", "/api/serve/applications/", json=body).ok

    def running(self) -> bool:
        """Whether the application runs with every deployment at its wanted size."""
        return self.status() == "RUNNING"

    def status(self) -> str:
        """Of the application, as Serve tells it."""
        if not self.answers():
            return "no head"
        seen = self.dashboard("GET", "/api/serve/applications/").json()["applications"]
        assert set(seen) == {"sentiment"}
        return str(seen["sentiment"]["status"])

    def ready(self) -> list[str]:
        """The workers whose readiness probe is answered: those that the Service selects."""
        return [host.name for host in self.workers if _ready(host)]


class Rehearsal:
    """Every host, the clients' view through the balancer, and the log."""

    def __init__(
        self, hosts: dict[str, Host], balancer: Balancer, blue: RayCluster, key: str, redis: str
    ) -> None:
        self.hosts = hosts
        self.balancer = balancer
        self.blue = blue
        self.redis_password = redis
        self._headers = {"Authorization": f"Bearer {key}"}
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def say(self, what: str) -> None:
        print(f"{self.seconds:6.1f} s  {what}", flush=True)

    def ask(self, route: str, session: requests.Session | None = None) -> str:
        url = f"{self.balancer.address}/{route}/infer"
        post = session.post if session else requests.post
        answer = post(url, json={"input": "A lovely film."}, headers=self._headers, timeout=30)
        answer.raise_for_status()
        label: str = answer.json()[0]["label"]
        return label

    def info(self) -> dict[str, Any]:
        answer = requests.get(f"{self.balancer.address}/info", headers=self._headers, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def workers(self) -> list[int]:
        """Of a replica of each backend, as it says itself; a second old at most."""
        backends = self.info()["backends"]
        return [backends[route]["workers"] for route in ROUTES]

    def apply(self, change: Callable[[dict[str, Any]], None]) -> "Load":
        """Change every deployment of the first cluster under load; no request may fail."""
        config = self.blue.pods.serve_config
        for deployment in config["applications"][0]["deployments"]:
            change(deployment)
        config = with_hash(config)
        with Load(self) as load:
            load.more()
            assert self.blue.deploy(config)
            digest = hash_of(config)
            until("what answers is new", LIMIT_S, lambda: self.info()["config_hash"] == digest)
            until("the application runs", LIMIT_S, self.blue.running)
            load.more()
        assert not load.errors
        return load

    def outlive(self, what: str, lose: Callable[[], None], restore: Callable[[], None]) -> None:
        """Lose a part under load, and a while later have it again; no request may fail."""
        with Load(self) as load:
            load.more()
            lose()
            lost = time.monotonic()
            self.say(f"{what} is lost")
            load.more(100)
            restore()
            until("the dashboard answers", LIMIT_S, self.blue.answers)
            until("the application runs", LIMIT_S, self.blue.running)
            self.say(f"the application runs again after {time.monotonic() - lost:.0f} s")
            load.more()
        self.say(f"meanwhile: {load}")
        assert not load.errors

    def send_to(self, cluster: RayCluster) -> None:
        """Make a cluster's workers the targets, and wait until the balancer knows who is ready."""
        self.balancer.send_to(*(host.name for host in cluster.workers))
        until(
            "the balancer sends to those that are ready",
            LIMIT_S,
            lambda: self.balancer.healthy() == cluster.ready() != [],
        )


class Load:
    """Clients that ask through the balancer without a pause, until told to stop.

    Of each route one with a new connection for each request, and one that keeps its connection.
    """

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.answers = 0
        self.errors: list[str] = []
        self._rehearsal = rehearsal
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(route, session))
            for route in ROUTES
            for session in (None, requests.Session())
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int = 20) -> None:
        """Wait until so many further requests were answered."""
        goal = self.answers + count
        until(f"{count} more answers", LIMIT_S, lambda: self.answers >= goal)

    def __str__(self) -> str:
        return f"{self.answers} answers, {len(self.errors)} errors"

    def _run(self, route: str, session: requests.Session | None) -> None:
        # A kept connection that ends between two requests is no error: one is to be under way.
        pause = 0.005 if session else 0.05
        while not self._stop.wait(pause):
            try:
                self._rehearsal.ask(route, session)
                self.answers += 1
            except Exception as error:
                kept = "kept" if session else "new"
                self.errors.append(f"{self._rehearsal.seconds:.1f} s, {kept} connection: {error}")


@pytest.fixture(scope="module")
def rehearsal(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    # Sockets have short paths.
    folder = tmp_path_factory.mktemp("r")
    values = {"redis": secrets.token_hex(16), "ray-auth-token": secrets.token_hex(32)}
    keys = folder / "keys"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert key_main(["create", "--file", str(keys), "--name", "rehearsal"]) == 0
    own = {"SENTIMENT_MODEL": str(prepared), "SENTIMENT_API_KEYS": "/tmp/keys"}
    names = ("redis", "edge", "head", "one", "two", "head2", "three")
    with network(folder, *names) as hosts:
        for host in hosts.values():
            shutil.copy(keys, host.tmp)
        _start_redis(hosts["redis"], values["redis"])
        workers = [hosts["one"], hosts["two"], hosts["three"]]
        pods = RayPods(render("local"), own, values, hosts["head"].address, "blue")
        balancer = Balancer(hosts["edge"], workers, pods.readiness())
        balancer.start()
        blue = RayCluster(hosts["head"], workers[:2], pods, values["ray-auth-token"])
        try:
            yield Rehearsal(hosts, balancer, blue, out.getvalue().split()[-1], values["redis"])
        finally:
            if keep := os.environ.get("SENTIMENT_REHEARSAL_LOGS"):
                for host in hosts.values():
                    _keep(host, Path(keep) / host.name)


def test_deploys_as_the_operator_does(rehearsal: Rehearsal) -> None:
    blue = rehearsal.blue
    blue.start(blue.head)
    until("the dashboard answers", LIMIT_S, blue.answers)
    rehearsal.say("the head is up")
    blue.start(*blue.workers)
    until("the configuration is taken", LIMIT_S, blue.deploy)
    until("the application runs", LIMIT_S, blue.running)
    rehearsal.say("the application runs")
    until("a worker is ready", LIMIT_S, blue.ready)
    rehearsal.send_to(blue)
    assert [rehearsal.ask(route) for route in ROUTES] == ["POSITIVE", "POSITIVE"]
    # Where a container's log goes, so does the replicas'.
    assert any("certified on" in host.log for host in blue.workers)
    rehearsal.say(f"both routes answer through the balancer and {', '.join(blue.ready())}")


def test_processes_fit_into_the_memory_of_their_pods(rehearsal: Rehearsal) -> None:
    blue = rehearsal.blue
    head, worker = blue.head.memory, max(host.memory for host in blue.workers)
    rehearsal.say(f"the head takes {head / 2**30:.1f} GiB, a worker {worker / 2**30:.1f} GiB")
    assert worker > 2**30
    for taken, limit in zip((head, worker), blue.pods.memory(), strict=True):
        assert taken < 0.8 * limit


def test_the_dashboard_asks_for_the_token(rehearsal: Rehearsal) -> None:
    url = f"http://{rehearsal.blue.head.address}:8265/api/serve/applications/"
    assert requests.get(url, timeout=10).status_code == 401
    wrong = {"Authorization": f"Bearer {'0' * 64}"}
    assert requests.get(url, headers=wrong, timeout=10).status_code in (401, 403)


def test_probes_are_answered_without_a_token(rehearsal: Rehearsal) -> None:
    for host in (rehearsal.blue.head, *rehearsal.blue.workers):
        url = f"http://{host.address}:52365/api/healthz"
        assert requests.get(url, timeout=10).status_code == 200, host.name


def test_routes_ask_for_a_key(rehearsal: Rehearsal) -> None:
    url = f"{rehearsal.balancer.address}/onnx/infer"
    assert requests.post(url, json={"input": "x"}, timeout=10).status_code == 401


def test_upgrades_in_place_under_load(rehearsal: Rehearsal) -> None:
    """What restarts nothing: settings of the replicas, their numbers, autoscaling."""

    def change(deployment: dict[str, Any]) -> None:
        if "autoscaling_config" in deployment:
            deployment["user_config"] = {**deployment["user_config"], "workers": 2}

    assert rehearsal.workers() == [1, 1]
    rehearsal.say(f"upgraded in place: {rehearsal.apply(change)}")
    until("both backends have taken it", LIMIT_S, lambda: rehearsal.workers() == [2, 2])


@pytest.mark.long
def test_upgrades_by_restarts_under_load(rehearsal: Rehearsal) -> None:
    """What restarts every replica; and, as on EKS, an ingress on each worker."""

    def change(deployment: dict[str, Any]) -> None:
        deployment["ray_actor_options"] = {"num_cpus": 0.15}
        if deployment["name"] == "Ingress":
            deployment |= {"num_replicas": 2, "max_replicas_per_node": 1}

    rehearsal.say(f"restarted every replica: {rehearsal.apply(change)}")
    until("both workers are ready", LIMIT_S, lambda: rehearsal.blue.ready() == ["one", "two"])
    rehearsal.send_to(rehearsal.blue)


@pytest.mark.long
def test_a_worker_drains_under_load(rehearsal: Rehearsal) -> None:
    blue = rehearsal.blue
    leaving, staying = blue.workers
    with Load(rehearsal) as load:
        load.more()
        begin = time.monotonic()
        draining = blue.drain(leaving)
        rehearsal.balancer.send_to(staying.name)  # a Service drops what is to end at once
        assert draining.wait(LIMIT_S) == 0
        rehearsal.say(f"{leaving.name} drained in {time.monotonic() - begin:.0f} s")
        blue.lose(leaving)
        load.more()
        rehearsal.say(f"{staying.name} alone: {load}")
        blue.start(leaving)
        until("both workers are ready", LIMIT_S, lambda: blue.ready() == ["one", "two"])
        rehearsal.send_to(blue)
        until("the application runs", LIMIT_S, blue.running)
        load.more()
    rehearsal.say(f"{leaving.name} is replaced: {load}")
    assert "drain: Ray moves the replicas" in leaving.log
    assert not load.errors


@pytest.mark.long
def test_loses_the_head_and_recovers(rehearsal: Rehearsal) -> None:
    blue = rehearsal.blue
    rehearsal.outlive("the head", lambda: blue.lose(blue.head), lambda: blue.start(blue.head))


@pytest.mark.long
def test_loses_redis_and_recovers(rehearsal: Rehearsal) -> None:
    """What the head remembers is there; the head's own process does not outlive it."""
    redis = rehearsal.hosts["redis"]
    rehearsal.outlive("Redis", redis.end, lambda: _start_redis(redis, rehearsal.redis_password))


@pytest.mark.long
def test_a_broken_model_takes_nothing_over(rehearsal: Rehearsal, prepared: Path) -> None:
    """ray#63016: the operator moves the traffic to an application that runs, and to no other."""
    second = _second(rehearsal, prepared, "broken", rehearsal.blue.pods.manifests)
    for host in (second.head, *second.workers):
        os.truncate(host.tmp / "model" / "onnx" / "int8.onnx", 1000)
    with Load(rehearsal) as load:
        load.more()
        _deploy_second(second)
        until("the deployment has failed", LIMIT_S, lambda: second.status() == "DEPLOY_FAILED")
        rehearsal.say(f"the broken model is told: {load}")
        for host in (second.head, *second.workers):
            second.lose(host)
        load.more()
    assert not load.errors


@pytest.mark.long
def test_upgrades_to_a_second_cluster_under_load(rehearsal: Rehearsal, prepared: Path) -> None:
    """What `NewCluster` does where an image or a setting has changed."""
    blue = rehearsal.blue
    manifests = copy.deepcopy(blue.pods.manifests)
    settings = next(
        m for m in manifests if m["kind"] == "ConfigMap" and "SENTIMENT_AUTH" in m["data"]
    )
    settings["data"]["SENTIMENT_MAX_TEXTS"] = "99"
    green = _second(rehearsal, prepared, "green", manifests)
    with Load(rehearsal) as load:
        load.more()
        _deploy_second(green)
        until("the second application runs", LIMIT_S, green.running)
        until("its worker is ready", LIMIT_S, green.ready)
        assert rehearsal.info()["limits"]["max_texts"] != 99
        rehearsal.say(f"the second cluster is ready: {load}")
        rehearsal.send_to(green)
        load.more()
        assert rehearsal.info()["limits"]["max_texts"] == 99
        rehearsal.say("traffic is switched")
        # All pods at the same time: Serve's controller goes with the head and tells no proxy more.
        draining = [blue.drain(host) for host in blue.workers]
        blue.lose(blue.head)
        for host, process in zip(blue.workers, draining, strict=True):
            assert process.wait(LIMIT_S) == 0
            assert "drain: 1 of 1 proxies let go of their clients" in host.log
            blue.lose(host)
        load.more()
    rehearsal.say(f"the first cluster has ended: {load}")
    assert not load.errors


def _second(
    rehearsal: Rehearsal, prepared: Path, name: str, manifests: list[Manifest]
) -> RayCluster:
    """A cluster beside the first, with a model of its own, as a new image has it."""
    head, worker = rehearsal.hosts["head2"], rehearsal.hosts["three"]
    for host in (head, worker):
        shutil.copytree(prepared, host.tmp / "model")
    pods = rehearsal.blue.pods.beside(
        manifests, {"SENTIMENT_MODEL": "/tmp/model"}, head.address, name
    )
    return RayCluster(head, [worker], pods, rehearsal.blue.token)


def _deploy_second(second: RayCluster) -> None:
    second.start(second.head)
    until("the second dashboard answers", LIMIT_S, second.answers)
    second.start(*second.workers)
    until("the configuration is taken", LIMIT_S, second.deploy)


def _start_redis(host: Host, password: str) -> None:
    host.start(
        f"exec redis-server --dir /tmp --appendonly yes --bind 0.0.0.0 --requirepass {password}", {}
    )


def _ready(host: Host) -> bool:
    with contextlib.suppress(requests.RequestException):
        url = f"http://{host.address}:8000/-/healthz"
        return requests.get(url, timeout=5).status_code == 200
    return False


def _keep(host: Host, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    (target / "log").write_text(host.log, encoding="utf-8")
    for session in (host.tmp / "ray").glob("session_2*"):
        shutil.copytree(session / "logs", target / session.name, dirs_exist_ok=True)
