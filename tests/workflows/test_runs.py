"""The `run:` steps of the workflows, run: scripts, make and Python are real, clusters stand-ins."""

import datetime
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuberay.deploy import staged
from kuberay.manifests import render, the
from serve_app.serve_config import ROOT, hash_of
from tests.deployed import Deployed
from tests.manifests.conftest import ACCOUNT, IMAGES
from tests.workflows.standins import StandIns

KIND = ("up", "overlays", "call", "upgrade", "policies", "say")


def steps(workflow: str, *jobs: str) -> list[str]:
    """The scripts of a workflow's jobs, in their order."""
    path = ROOT / ".github" / "workflows" / f"{workflow}.yaml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step["run"] for job in jobs for step in found[job]["steps"] if "run" in step]


@pytest.fixture
def standins(tmp_path: Path) -> StandIns:
    return StandIns(tmp_path)


@dataclass
class Balancer:
    """What answers at the API's public name, over TLS."""

    host: str
    certificate: Path


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Balancer]:
    digest = hash_of(yaml.safe_load(service()["spec"]["serveConfigV2"]))

    class Answers(Deployed):
        hash = digest

    certificate = certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield Balancer(f"localhost:{server.server_address[1]}", certificate)
        server.shutdown()


def certify(folder: Path) -> Path:
    """A file with a key and a certificate of localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "localhost.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


def service() -> dict[str, Any]:
    made: dict[str, Any] = the(render("eks", IMAGES, ACCOUNT), "RayService")
    running = {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "True"}],
        "activeServiceStatus": {
            "rayClusterName": "sentiment-1",
            "applicationStatuses": {"sentiment": {"status": "RUNNING"}},
        },
    }
    made["metadata"]["generation"] = 1
    return {**staged(made, None), "status": running}


def test_deploys_in_the_order_of_the_workflow(standins: StandIns, balancer: Balancer) -> None:
    standins.answer("rayservice", service())
    environment = {
        **ACCOUNT,
        "SERVE": IMAGES["sentiment-serve"],
        "PAGE": IMAGES["sentiment-ui"],
        "API_HOST": balancer.host,
        "PAGE_HOST": "page.example.com",
        "CLUSTER": "sentiment",
        "IDENTITY": "this repository's workflow",
        "SSL_CERT_FILE": str(balancer.certificate),
    }
    for script in steps("deploy", "cluster"):
        done = standins.run(script, **environment)
        assert done.returncode == 0, script + done.stdout + done.stderr
    apply = "kubectl apply --server-side --force-conflicts -f -"
    expected = [
        *["cosign verify"] * 2,
        "aws eks update-kubeconfig --name sentiment",
        "kubectl apply --server-side -f kuberay/eks/nodepools.yaml",
        *[f"{apply} --dry-run=server", apply],
        *[f"{apply} --dry-run=server", apply],
        "kubectl patch raycluster sentiment-1",
        *[f"{apply} --dry-run=server", apply],
        "kubectl rollout status deployment/page",
        "kubectl exec --namespace sentiment deployment/page",
        "kubectl run page-check-",
    ]
    changes = [line for line in standins.log if not line.startswith(("docker", "kubectl get"))]
    assert len(changes) == len(expected), changes
    for line, start in zip(changes, expected, strict=True):
        assert line.startswith(start)


def test_nothing_is_deployed_that_is_not_signed(standins: StandIns) -> None:
    script = next(each for each in steps("deploy", "cluster") if "cosign" in each)
    done = standins.run(script, SERVE="s", PAGE="p", IDENTITY="me", REFUSES="cosign")
    assert done.returncode == 1


def test_signs_what_was_built(standins: StandIns) -> None:
    (script,) = [each for each in steps("images", "serve") if "cosign" in each]
    assert standins.run(script, IMAGE="registry/name@sha256:0").returncode == 0
    assert standins.log == ["cosign sign --yes registry/name@sha256:0"]


CLAIMS = """
case "$*$given" in *dry-run=server*"storageClassName: gp3"*)
    echo "updates to statefulset spec for fields other than 'replicas' are forbidden" >&2; exit 1 ;;
esac
case"""


def test_kind_job(standins: StandIns) -> None:
    standins.answer("rayservice", service())
    program = standins.folder / "bin" / "kubectl"
    # Redis runs, and what it claims differs from one overlay to the other.
    before, after = program.read_text().split("\ncase", 1)
    program.write_text(before + CLAIMS + after)
    scripts = [each for each in steps("cluster", "kind") if each.startswith("scripts/kind")]
    assert [each.split()[1] for each in scripts] == list(KIND)
    for script in scripts:
        done = standins.run(script)
        assert done.returncode == 0, script + done.stdout + done.stderr
    text = "\n".join(standins.log)
    assert "helm upgrade --install kuberay-operator" in text
    for secret in ("ray-auth-token", "redis", "page", "api-keys"):
        assert f"create secret generic {secret}" in text
    assert text.count("--dry-run=server --force-conflicts") == 2
    assert "patch rayservice sentiment" in text
    assert text.count("run probe-") == 5


@pytest.mark.parametrize(
    ("step", "done_by_kubectl", "instead", "sentence"),
    [
        ("upgrade", "echo sentiment-2 >", "cat", "no second cluster took over from sentiment-1"),
        ("policies", "default*|*10001*) exit 1", "x) exit 1", "kind: default reaches"),
    ],
)
def test_kind_job_fails_where_the_cluster_does_not_do_its_part(
    standins: StandIns, step: str, done_by_kubectl: str, instead: str, sentence: str
) -> None:
    program = standins.folder / "bin" / "kubectl"
    text = program.read_text()
    assert done_by_kubectl in text
    program.write_text(text.replace(done_by_kubectl, instead))
    done = standins.run(f"scripts/kind {step}")
    assert done.returncode == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("script", [*steps("test", "images"), *steps("nightly", "hub")])
def test_builds_and_tries_images(standins: StandIns, script: str) -> None:
    model = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
    done = standins.run(script, MODEL=model, HF_TOKEN="hf_x")
    assert done.returncode == 0, done.stdout + done.stderr
    text = "\n".join(standins.log)
    if "try" in script:
        assert "docker run --rm --network none --read-only" in text
    else:
        assert f"--build-arg MODEL={model}" in text
        assert "--secret id=hf_token,env=HF_TOKEN" in text
        assert "hf_x" not in text


def test_crds_are_those_of_the_deployed_versions(standins: StandIns, tmp_path: Path) -> None:
    (script,) = [each for each in steps("test", "suite") if "scripts/crds" in each]
    done = standins.run(script.replace(".cache/crds", str(tmp_path / "crds")))
    assert done.returncode == 0, done.stderr
    assert len(standins.log) == 5
    assert any("/kuberay/v1.7.0/" in line for line in standins.log)
