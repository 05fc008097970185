"""A deployment against a kubectl of the test's own: what it refuses, waits for and takes back."""

import copy
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuberay import deploy as module
from kuberay.deploy import main
from kuberay.deploy_check import SECRETS
from kuberay.kubectl import DeployError
from kuberay.manifests import render, serve_config, the
from serve_app.serve_config import ROOT, hash_of, with_hash
from tests.deployed import Deployed, workers_pool
from tests.listening import listening
from tests.manifests.conftest import ACCOUNT, IMAGES

ABSENT = f"example.com/absent@sha256:{'0' * 64}"
PAGE = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "page", "uid": "u"}}
KUBECTL = f"""#!{sys.executable}
import json, os, pathlib, re, sys
KIND, NAME = r"(?m)^kind: (\\S+)", r"(?m)^  name: (\\S+)"
here = pathlib.Path(os.environ["CLUSTER"])
state = json.loads((here / "state.json").read_text())
words = sys.argv[1:]
given = "" if sys.stdin is None or "-f" not in words else sys.stdin.read()
with (here / "calls").open("a") as log:
    log.write(json.dumps([words, given]) + "\\n")
if words[:2] == ["kustomize", words[1]]:
    os.execv(os.environ["KUBECTL"], ["kubectl", *words])
if words[0] == "get":
    if words[1] == "-f":  # whatever of it there is
        names = ["/".join(re.findall(pattern, each)[0] for pattern in (KIND, NAME)).lower()
                 for each in given.split("\\n---\\n")]
        found = {{"kind": "List", "items": [state[name] for name in names if name in state]}}
    else:
        found = state.get(words[1] if words[1] == "nodes" else "/".join(words[1:3]))
    print(json.dumps(found) if found else "")
if words[0] in state.get("fails_once", []) and "--dry-run=server" not in words:
    state["fails_once"].remove(words[0])
    (here / "state.json").write_text(json.dumps(state))
    sys.exit("error: the server says no, once")
if words[0] in state.get("fails", []) and "--dry-run=server" not in words or (
    "--dry-run=server" in words and "dry-run" in state.get("fails", [])
):
    sys.exit("error: the server says no")
"""


def before() -> dict[str, Any]:
    """The spec of what runs: another balancer, fewer workers and replicas."""
    spec: dict[str, Any] = copy.deepcopy(the(render("eks", IMAGES, ACCOUNT), "RayService")["spec"])
    config = yaml.safe_load(spec["serveConfigV2"])
    config["applications"][0]["deployments"][1]["autoscaling_config"]["max_replicas"] = 4
    config["applications"][0]["deployments"][1]["user_config"] = {"workers": 1, "threads": 1}
    spec["serveConfigV2"] = yaml.safe_dump(config)
    spec["rayClusterConfig"]["workerGroupSpecs"][0]["maxReplicas"] = 3
    spec["serveService"]["metadata"]["annotations"] = {"scheme": "internal"}
    return spec


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        secret = {name: {"data": {key: "eA=="}} for name, key in SECRETS.items()}
        self.state: dict[str, Any] = {
            **{f"secret/{name}": value for name, value in secret.items()},
            "nodes": {"items": [{"status": {"allocatable": {"cpu": "3920m"}}}]},
            "nodepool/workers": workers_pool(),
            "rayservice/sentiment": {
                "kind": "RayService",
                "apiVersion": "ray.io/v1",
                "metadata": {"name": "sentiment", "generation": 3, "uid": "u"},
                "spec": before(),
                "status": {
                    "observedGeneration": 3,
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "activeServiceStatus": {
                        "rayClusterName": "sentiment-1",
                        "applicationStatuses": {"sentiment": {"status": "RUNNING"}},
                    },
                },
            },
        }

    def write(self) -> None:
        (self.folder / "state.json").write_text(json.dumps(self.state))

    def changes(self) -> list[tuple[list[str], list[dict[str, Any]]]]:
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [
            (words, list(yaml.safe_load_all(given)))
            for words, given in calls
            if words[0] in ("apply", "patch", "rollout", "exec", "run")
            and "--dry-run=server" not in words
        ]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    real = Path(sys.executable).parent / "kubectl"
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    for path in (program, program.with_name("docker")):
        path.write_text(
            KUBECTL if path == program else "#!/bin/sh\ncase $* in *absent*) exit 1;; esac\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECTL", str(real))
    monkeypatch.setenv("CLUSTER", str(tmp_path))
    monkeypatch.setattr(module, "POLL_S", 0.01)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    made = Cluster(tmp_path)
    made.write()
    return made


def run(*more: str, overlay: str = "eks") -> int:
    images = ["--serve", IMAGES["sentiment-serve"], "--page", IMAGES["sentiment-ui"]]
    return main([overlay, *images, "--timeout", "1", *more])


def test_deploys_the_api_then_scaling_then_the_page(cluster: Cluster) -> None:
    assert run("--page-address", "https://page.example.com") == 0
    (first, api), (second, scaling), bounds, (_, page), *asked = cluster.changes()
    assert first == second == ["apply", "--server-side", "--force-conflicts", "-f", "-"]
    assert {"RayService", "StatefulSet", "NetworkPolicy"} <= {m["kind"] for m in api}
    assert [m["kind"] for m in scaling] == ["RayService", "Service"]
    assert {m["metadata"]["name"] for m in page} == {"page"}
    assert bounds[0][:3] == ["patch", "raycluster", "sentiment-1"]
    (rollout, _), (inside, _), (outside, _) = asked
    assert rollout[:5] == ["rollout", "status", "deployment/page", "--namespace", "sentiment"]
    assert inside[-1] == "$SENTIMENT_UI_API_URL/ready"
    assert outside[0] == "run"
    assert outside[-1] == "https://page.example.com/_stcore/health"


def test_new_code_comes_before_new_scaling(cluster: Cluster) -> None:
    assert run("--part", "api") == 0
    assert run("--part", "scaling") == 0
    (_, api), (_, scaling), _ = cluster.changes()
    old, middle, new = before(), the(api, "RayService")["spec"], scaling[0]["spec"]
    assert balancer(middle) == balancer(old) != balancer(new)
    assert middle["serveService"]["spec"] == new["serveService"]["spec"]
    assert workers(middle)["maxReplicas"] == 3 != workers(new)["maxReplicas"]
    assert torch(middle)["autoscaling_config"] == torch(old)["autoscaling_config"]
    assert torch(middle)["user_config"] == torch(new)["user_config"] != torch(old)["user_config"]
    assert yaml.safe_load(new["serveConfigV2"]) == serve_config("eks")
    config = yaml.safe_load(middle["serveConfigV2"])
    assert config == with_hash(config)


def test_running_cluster_and_balancer_get_what_the_operator_would_not_give(
    cluster: Cluster,
) -> None:
    assert run("--part", "scaling") == 0
    (_, (service, made)), (patch, _) = cluster.changes()
    group = workers(service["spec"])
    assert json.loads(patch[-1]) == [
        {"op": "replace", "path": f"/spec/workerGroupSpecs/0/{key}", "value": group[key]}
        for key in ("minReplicas", "maxReplicas")
    ]
    assert made["metadata"]["name"] == "sentiment-serve-svc"
    assert made["metadata"]["annotations"] == balancer(service["spec"])


def balancer(spec: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = spec["serveService"]["metadata"]["annotations"]
    return found


def workers(spec: dict[str, Any]) -> dict[str, Any]:
    (group,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    found: dict[str, Any] = group
    return found


def torch(spec: dict[str, Any]) -> dict[str, Any]:
    deployments = yaml.safe_load(spec["serveConfigV2"])["applications"][0]["deployments"]
    (found,) = [each for each in deployments if each["name"] == "TorchClassifier"]
    deployment: dict[str, Any] = found
    return deployment


def no_secret(cluster: Cluster) -> None:
    del cluster.state["secret/redis"]


def no_key(cluster: Cluster) -> None:
    cluster.state["secret/page"]["data"] = {"other": "eA=="}


def small_pool(cluster: Cluster) -> None:
    cluster.state["nodepool/workers"]["spec"]["limits"]["cpu"] = "72"


def no_pool(cluster: Cluster) -> None:
    del cluster.state["nodepool/workers"]


def refused(cluster: Cluster) -> None:
    cluster.state["fails"] = ["dry-run"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (no_secret, r"lacks the secrets redis \(key password\)"),
        (no_key, r"lacks the secrets page \(key api-key\)"),
        (small_pool, "may grow to 72 CPUs, and 80 are needed"),
        (no_pool, "no node pool `workers`"),
        (refused, "The API server refuses it: error: the server says no"),
    ],
)
def test_stops_before_anything_changes(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], wrong: Any, sentence: str
) -> None:
    wrong(cluster)
    cluster.write()
    assert run() == 1
    said = capsys.readouterr().err
    assert re.search(sentence, said)
    assert "Nothing was changed" in said
    assert not cluster.changes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["production"], "no overlay 'production'"),
        (
            ["eks", "--serve", ABSENT],
            f"There is no image {ABSENT}, or it cannot be seen from here: ",
        ),
        (["eks", "--serve", "example.com/serve:1", "--page", "example.com/p:1"], "by digest"),
        (["eks", "--address", "api.example.com"], "ADDRESS is 'api.example.com': write it as http"),
        (["eks", "--address", "https://"], "ADDRESS is 'https://': write it as http"),
        (["eks", "--page-address", "page.example.com"], "PAGE_ADDRESS is 'page.example.com': "),
    ],
)
def test_stops_at_a_wrong_name(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(arguments) == 1
    assert sentence in capsys.readouterr().err
    assert not (cluster.folder / "calls").exists() or not cluster.changes()


def test_small_machine(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.state["nodes"]["items"][0]["status"]["allocatable"]["cpu"] = "1"
    cluster.write()
    assert main(["local"]) == 1
    assert "The cluster has 1 CPUs and 2 are needed" in capsys.readouterr().err


def test_check_changes_nothing(cluster: Cluster) -> None:
    assert run("--check") == 0
    assert not cluster.changes()


def test_goes_back_when_it_does_not_answer(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise DeployError("The routes do not answer.")

    monkeypatch.setattr(module, "_ask", silent)
    assert run("--part", "api", "--address", "http://127.0.0.1:9") == 1
    assert "Rolled back: what ran before runs again" in capsys.readouterr().err
    _, (words, (restored,)) = cluster.changes()
    assert "--force-conflicts" in words
    assert restored["spec"] == before()
    assert restored["metadata"] == {"name": "sentiment"}


def test_goes_back_when_the_api_server_refuses_after_all(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.state["fails_once"] = ["apply"]
    cluster.write()
    assert run("--part", "scaling") == 1
    assert "says no, once Rolled back" in capsys.readouterr().err
    _, (_, restored) = cluster.changes()
    assert restored[0]["spec"] == before()


def test_what_did_not_run_is_not_gone_back_to(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cluster.state["rayservice/sentiment"]["status"]
    status["conditions"].append({"type": "UpgradeInProgress", "status": "True"})
    cluster.write()
    assert run("--part", "api") == 1
    assert "nothing running before" in capsys.readouterr().err
    (_,) = cluster.changes()


def test_running_once_may_be_what_was_before(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([True, True, False, True])  # before it is applied, then what was, then what is
    real = module._state
    monkeypatch.setattr(module, "_state", lambda: (next(said, False), real()[1]))
    assert run("--part", "api") == 1
    assert "not running after 1 s" in capsys.readouterr().err


def test_waits_for_the_operator_to_have_seen_it(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.state["rayservice/sentiment"]["metadata"]["generation"] = 4
    cluster.write()
    assert run("--part", "api") == 1
    assert "not running after 1 s" in capsys.readouterr().err


@pytest.mark.parametrize(("right", "code"), [(True, 0), (False, 1)])
def test_asks_both_routes_and_compares_the_configuration(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, right: bool, code: int
) -> None:
    monkeypatch.setenv("SENTIMENT_KEY", "k")
    digest = hash_of(serve_config("eks"))
    monkeypatch.setattr(Deployed, "hash", digest if right else "other")
    monkeypatch.setattr(Deployed, "key", "k")
    with listening(Deployed) as address:
        assert run("--part", "scaling", "--address", address) == code


class Refuses(Deployed):
    def answer(self, _: object) -> None:
        self.send_error(401)


def test_a_key_that_is_refused_is_told(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(Refuses) as address:
        assert run("--part", "scaling", "--address", address) == 1
    assert "refuses the key SENTIMENT_KEY" in capsys.readouterr().err


class Html(Deployed):
    def answer(self, _: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")


class NoHttp(Deployed):
    def answer(self, _: object) -> None:
        self.wfile.write(b"220 mail.example.com\r\n")


class Listed(Deployed):
    """Its configuration is a list."""

    def answer(self, body: object) -> None:
        super().answer(["a list"] if isinstance(body, dict) else body)


class Named(Deployed):
    """Its answer is no list."""

    def answer(self, body: object) -> None:
        super().answer(body[0] if isinstance(body, list) else body)


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        (Html, "/info answers no JSON"),
        (NoHttp, "/info does not answer: 220 mail.example.com"),
        (Listed, "/info shows the configuration ['a list']"),
        (Named, "/transformers/infer answers {'label': 'POSITIVE', "),
    ],
)
def test_goes_back_when_it_answers_something_else(
    cluster: Cluster,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    handler: type[Deployed],
    sentence: str,
) -> None:
    monkeypatch.setattr(Deployed, "hash", hash_of(serve_config("eks")))
    with listening(handler) as address:
        assert run("--part", "scaling", "--address", address) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "Rolled back: what ran before runs again" in said


def test_a_key_that_is_none_changes_nothing(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_KEY", "sentiment_a\nsentiment_b")
    assert run("--part", "scaling", "--address", "https://api.example.com") == 1
    said = capsys.readouterr().err
    assert "white space" in said
    assert "sentiment_a" not in said
    assert not (cluster.folder / "calls").exists()


@pytest.mark.parametrize("part", ["scaling", "page"])
def test_both_faults_are_told_where_going_back_fails_too(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    cluster.state |= {"fails": ["apply"], "deployment/page": PAGE}
    cluster.write()
    assert run("--part", part) == 1
    fault = "error: the server says no"
    assert f"{fault} Rolling back failed too: {fault}" in capsys.readouterr().err


@pytest.mark.parametrize("fails", ["exec", "run"])
def test_page_goes_back_when_it_does_not_answer(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], fails: str
) -> None:
    cluster.state |= {"fails": [fails], "deployment/page": PAGE}
    cluster.write()
    assert run("--part", "page", "--page-address", "https://page.example.com") == 1
    said = capsys.readouterr().err
    assert "The page does not come up: error: the server says no Rolled back" in said
    *_, (words, restored), (waited, _) = cluster.changes()
    assert words[0] == "apply"
    assert restored == [{**PAGE, "metadata": {"name": "page"}}]
    assert waited[:3] == ["rollout", "status", "deployment/page"]


def test_a_first_page_has_nothing_to_go_back_to(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.state["fails"] = ["exec"]
    cluster.write()
    assert run("--part", "page") == 1
    assert "nothing running before" in capsys.readouterr().err
    assert [words[0] for words, _ in cluster.changes()] == ["apply", "rollout", "exec"]


def test_secrets_are_those_that_the_manifests_name() -> None:
    text = "".join(p.read_text() for p in (ROOT / "kuberay" / "base").glob("*.yaml"))
    for name in SECRETS:
        assert re.search(rf"(name|secretName): {name}\b", text), name
