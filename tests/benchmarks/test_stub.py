"""The stub of the scaling benchmark."""

import os
import time

from benchmarks import stub, stub_server
from serve_app.serve_config import least_cpus


def test_a_text_takes_its_cost_and_no_cpu() -> None:
    backend = stub.StubBackend(0.02)
    encoded = backend.encode(["a b c", "d"])
    start, cpu = time.perf_counter(), time.thread_time()
    assert backend.logits(encoded).shape == (2, 2)
    assert time.perf_counter() - start >= 0.04
    assert time.thread_time() - cpu < 0.02
    assert len(encoded[0]) > len(encoded[1])


def test_the_configuration_has_so_many_replicas_of_one_deployment_and_fits_everywhere() -> None:
    config = stub_server.config(8000, 32)
    (application,) = config["applications"]
    counts = {
        deployment["name"]: deployment["autoscaling_config"]["min_replicas"]
        for deployment in application["deployments"]
        if "autoscaling_config" in deployment
    }
    assert counts == {"TorchClassifier": 1, "OnnxClassifier": 32}
    assert application["import_path"] == "benchmarks.stub:build"
    assert least_cpus(config) <= (os.cpu_count() or 1)
