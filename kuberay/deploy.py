"""Deploy an overlay to the cluster that kubectl speaks to: look, apply, wait, ask, or go back.

Nothing is changed before the secrets, the images, the room on the cluster and the API server's own
dry run were looked at. Then come three parts, each of which is rolled back to what ran before where
it does not come up in time, or does not answer as it should:

- `api`: new images and code, with autoscaling and balancer as they are;
- `scaling`: autoscaling, bounds of the workers, and the balancer's annotations, the latter two also
  where the operator would leave them as they are;
- `page`: the Streamlit page.
"""

import argparse
import copy
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import yaml

from kuberay.deploy_check import check
from kuberay.kubectl import APPLY, NAMESPACE, DeployError, bare, get, kubectl, live
from kuberay.manifests import IMAGES, Manifest, ManifestError, render, the
from serve_app.serve_config import hash_of, with_hash

PARTS = ("api", "scaling", "page")
ROUTES = ("/transformers/infer", "/onnx/infer")
SERVICE = "sentiment-serve-svc"
POLL_S = 5.0
OPENS = """
import os, sys, urllib.request
urllib.request.urlopen(os.path.expandvars(sys.argv[1]), timeout=30)
"""
API_OF_THE_PAGE = "$SENTIMENT_UI_API_URL/ready"


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        overlay: a folder below kuberay/overlays.
        part: one of `PARTS`, or "all".
        images: what stands for `sentiment-serve` and `sentiment-ui`.
        address: of the API from here, as through the balancer; None asks nothing.
        page_address: of the page, as through its balancer; a pod of the cluster asks it, since the
            balancer is internal. None asks nothing.
        timeout_s: until the new cluster answers; a new machine takes one to two minutes of it.
        only_check: look, and change nothing.
    """

    overlay: str
    part: str
    images: dict[str, str]
    address: str | None
    page_address: str | None
    timeout_s: float
    only_check: bool


def deploy(options: Options) -> None:
    """Deploy, or change nothing, or go back.

    Raises:
        DeployError, ManifestError: with a sentence; where it says so, rolled back.
    """
    for name, url in (("ADDRESS", options.address), ("PAGE_ADDRESS", options.page_address)):
        if url and not re.match(r"https?://[^/]", url):
            raise DeployError(
                f"{name} is {url!r}: write it as https://HOST or http://HOST. Nothing was changed."
            )
    if re.search(r"\s", os.environ.get("SENTIMENT_KEY", "").strip()):
        raise DeployError("SENTIMENT_KEY has white space within, as no key has.")
    manifests = render(options.overlay, options.images)
    try:
        check(options.overlay, list(options.images.values()), manifests)
    except DeployError as error:
        raise DeployError(f"{error} Nothing was changed.") from None
    _say("secrets, images, room and dry run are as they should be")
    if options.only_check:
        return
    page = [m for m in manifests if m["metadata"]["name"] == "page"]
    rest = [m for m in manifests if m not in page]
    if options.part in ("api", "all"):
        _deploy_api(options, rest)
    if options.part in ("scaling", "all"):
        _deploy_scaling(options, the(rest, "RayService"))
    if options.part in ("page", "all"):
        _deploy_page(options, page)


def staged(new: Manifest, running: Manifest | None) -> Manifest:
    """The new RayService, with the running one's autoscaling, bounds of workers and balancer."""
    service = copy.deepcopy(new)
    if running is None:
        return service
    spec, old = service["spec"], running["spec"]
    config, old_config = (yaml.safe_load(each["serveConfigV2"]) for each in (spec, old))
    (application,), (old_application,) = config["applications"], old_config["applications"]
    deployments = {each["name"]: each for each in old_application["deployments"]}
    for deployment in application["deployments"]:
        before = deployments.get(deployment["name"], deployment)
        for key in ("autoscaling_config", "num_replicas"):
            deployment.pop(key, None)
            if key in before:
                deployment[key] = before[key]
    spec["serveConfigV2"] = yaml.safe_dump(with_hash(config), sort_keys=False)
    groups = {each["groupName"]: each for each in old["rayClusterConfig"]["workerGroupSpecs"]}
    for group in spec["rayClusterConfig"]["workerGroupSpecs"]:
        before = groups.get(group["groupName"], group)
        group |= {key: before[key] for key in ("replicas", "minReplicas", "maxReplicas")}
    if "serveService" in spec and "serveService" in old:
        annotations = old["serveService"]["metadata"]["annotations"]
        spec["serveService"]["metadata"]["annotations"] = annotations
    return service


def _deploy_api(options: Options, manifests: list[Manifest]) -> None:
    service = the(manifests, "RayService")
    first = staged(service, get("rayservice", "sentiment"))
    wanted = [first if each is service else each for each in manifests]
    _apply_or_go_back(options, wanted, first, "both routes answer from the new images")


def _deploy_scaling(options: Options, service: Manifest) -> None:
    wanted = [service]
    if "serveService" in service["spec"]:
        # The operator makes the Service once and never changes its annotations again.
        annotations = service["spec"]["serveService"]["metadata"]["annotations"]
        metadata = {"name": SERVICE, "namespace": NAMESPACE, "annotations": annotations}
        wanted.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata})
    _apply_or_go_back(options, wanted, service, "autoscaling and balancer are as configured")
    _bound_workers(service)


def _bound_workers(service: Manifest) -> None:
    """Give the running cluster its bounds: the operator gives them to new clusters only."""
    running = get("rayservice", "sentiment") or {}
    name = running.get("status", {}).get("activeServiceStatus", {}).get("rayClusterName")
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    patch = [
        {"op": "replace", "path": f"/spec/workerGroupSpecs/{number}/{key}", "value": group[key]}
        for number, group in enumerate(groups)
        for key in ("minReplicas", "maxReplicas")
    ]
    where = ("--namespace", NAMESPACE, "--type", "json")
    kubectl("patch", "raycluster", str(name), *where, "--patch", json.dumps(patch))


def _apply_or_go_back(
    options: Options, manifests: list[Manifest], service: Manifest, done: str
) -> None:
    # What does not run, as after a deployment that was cut off, is nothing to go back to.
    before = live(manifests) if _state()[0] else []
    try:
        kubectl(*APPLY, given=manifests)
        _wait_running(options.timeout_s)
        if options.address:
            config = yaml.safe_load(service["spec"]["serveConfigV2"])
            _ask(options.address, hash_of(config), options.timeout_s)
            _wait_running(options.timeout_s)  # the old replicas may have answered
    except DeployError as error:
        raise _gone_back(options, str(error), before, "RayService", _wait_running) from None
    _say(done)


def _gone_back(
    options: Options,
    fault: str,
    before: list[Manifest],
    kind: str,
    wait: Callable[[float], None],
) -> DeployError:
    """Apply what ran before, if a `kind` did, and wait for it; returns what is to be said."""
    if not any(each["kind"] == kind for each in before):
        return DeployError(f"{fault} There was nothing running before to go back to.")
    try:
        kubectl(*APPLY, given=[bare(each) for each in before])
        wait(options.timeout_s)
    except DeployError as second:
        return DeployError(f"{fault} Rolling back failed too: {second}")
    return DeployError(f"{fault} Rolled back: what ran before runs again.")


def _deploy_page(options: Options, manifests: list[Manifest]) -> None:
    before = live(manifests)
    try:
        kubectl(*APPLY, given=manifests)
        _wait_page(options.timeout_s)
        python = ("--", "python", "-c", OPENS, API_OF_THE_PAGE)
        kubectl("exec", "--namespace", NAMESPACE, "deployment/page", *python)
        if options.page_address:
            _ask_from_a_pod(options, f"{options.page_address}/_stcore/health")
    except DeployError as error:
        fault = f"The page does not come up: {error}"
        raise _gone_back(options, fault, before, "Deployment", _wait_page) from None
    _say("the page is up and reaches the service")


def _ask_from_a_pod(options: Options, url: str) -> None:
    """From outside the namespace, whose policies would hold the request back."""
    kubectl(
        *(
            "run",
            f"page-check-{time.time():.0f}",
            "--namespace",
            "default",
            "--image",
            options.images[IMAGES[1]],
        ),
        *("--rm", "--attach", "--quiet", "--restart", "Never", "--pod-running-timeout", "3m"),
        *("--command", "--", "python", "-c", OPENS, url),
    )


def _wait_page(seconds: float) -> None:
    where = ("--namespace", NAMESPACE, "--timeout", f"{seconds:.0f}s")
    kubectl("rollout", "status", "deployment/page", *where)


def _state() -> tuple[bool, str]:
    """Whether the RayService runs as it was last applied, and what it says of itself."""
    service = get("rayservice", "sentiment") or {}
    status = service.get("status", {})
    state = {c["type"]: c["status"] for c in status.get("conditions", [])}
    applications = status.get("activeServiceStatus", {}).get("applicationStatuses", {})
    state |= {name: each["status"] for name, each in applications.items()}
    runs = (
        status.get("observedGeneration", 0) == service.get("metadata", {}).get("generation")
        and state.get("Ready") == "True"
        and state.get("UpgradeInProgress", "False") != "True"
        and state.get("sentiment") == "RUNNING"
    )
    return runs, json.dumps(state)


def _wait_running(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    said, ran = "", False
    while True:
        runs, now = _state()
        # The operator may say once more what was before it handed a new configuration on.
        if runs and ran:
            _say("the RayService is running")
            return
        ran = runs
        if now != said:
            said = now
            _say(f"waiting: {said}")
        if time.monotonic() > deadline:
            raise DeployError(f"The RayService is not running after {seconds:.0f} s: {said}.")
        time.sleep(POLL_S)


def _ask(address: str, config_hash: str, seconds: float) -> None:
    """Both routes answer, and what answers is what was deployed."""
    deadline = time.monotonic() + seconds
    while True:
        info = _call(f"{address}/info")
        seen = info.get("config_hash") if isinstance(info, dict) else info
        if seen == config_hash:
            break
        if time.monotonic() > deadline:
            raise DeployError(
                f"/info shows the configuration {seen}, and {config_hash} was deployed."
            )
        time.sleep(POLL_S)
    for route in ROUTES:
        match _call(address + route, {"input": "A lovely film."}):
            case [{"label": _}, *_]:
                continue
            case answer:
                raise DeployError(f"{route} answers {answer!r}.")
    _say("both routes answer with the new configuration")


def _call(url: str, body: object = None, tries: int = 24) -> Any:
    """The JSON that it answers."""
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("SENTIMENT_KEY", "").strip():
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    for left in reversed(range(tries)):
        try:
            request = urllib.request.Request(url, data, headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except (OSError, HTTPException, ValueError) as error:
            if not left:
                # A new key takes a minute to get to the pods, so that a refusal too is tried again.
                if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
                    what = "refuses the key SENTIMENT_KEY"
                else:
                    what = "answers no JSON" if isinstance(error, ValueError) else "does not answer"
                raise DeployError(f"{url} {what}: {error}.") from None
            time.sleep(POLL_S)
    raise AssertionError


def _say(sentence: str) -> None:
    print(f"deploy: {sentence}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when it runs, 1 where it was refused or rolled back."""
    parser = argparse.ArgumentParser(prog="deploy", description=__doc__)
    parser.add_argument("overlay", help="a folder below kuberay/overlays")
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--serve", metavar="IMAGE", default=IMAGES[0])
    parser.add_argument("--page", metavar="IMAGE", default=IMAGES[1])
    parser.add_argument("--address", help="URL of the API; SENTIMENT_KEY is its key")
    parser.add_argument("--page-address", help="URL of the page, for a pod of the cluster")
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS")
    parser.add_argument("--check", action="store_true", help="look, and change nothing")
    arguments = parser.parse_args(argv)
    options = Options(
        overlay=arguments.overlay,
        part=arguments.part,
        images=dict(zip(IMAGES, (arguments.serve, arguments.page), strict=True)),
        address=arguments.address,
        page_address=arguments.page_address,
        timeout_s=arguments.timeout,
        only_check=arguments.check,
    )
    try:
        deploy(options)
    except (DeployError, ManifestError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
