"""The service with a stub for its models, in a process of its own, as `peers.ours` is.

Imports no Ray: its environment must be in place before (see `ray_environment`).
"""

import os
import sys
from typing import Any

from benchmarks.peers import ours
from benchmarks.peers.classifier import Given
from serve_app import ray_environment
from serve_app.serve_config import BASE, LOCAL, Config, load

COST_MS = "BENCH_COST_MS"
REPLICAS = "BENCH_REPLICAS"
"""A number, or two for autoscaling between them: `1-10`."""
AS_SERVED = "BENCH_AS_SERVED"
"""Set where autoscaling is to take its time, as in `serve_config.yaml`."""
OWN_PROXY = "BENCH_OWN_PROXY"
"""Set where Ray Serve's own proxy stands for HAProxy."""


def config(port: int, replicas: int, most: int | None = None) -> Config:
    """The local configuration with so many replicas of the ONNX deployment, and the stub in it.

    One worker a replica and one text a batch: a replica's rate is then 1 / cost, whatever waits.

    Args:
        most: replicas that autoscaling may add up to, soon unless `AS_SERVED`; None for none.
    """
    hasty = most and not os.environ.get(AS_SERVED)
    quick = {"upscale_delay_s": 1, "downscale_delay_s": 5} if hasty else {}
    user = {"workers": 1, "threads": 1, "batch_texts": 1}
    deployments: list[dict[str, Any]] = [
        {"name": "Ingress", "ray_actor_options": {"num_cpus": 0.01}},
        *(
            {
                "name": name,
                "user_config": user,
                "ray_actor_options": {"num_cpus": 0.01},
                "autoscaling_config": {"min_replicas": least, "max_replicas": top, **quick},
            }
            for name, least, top in (
                ("TorchClassifier", 1, most or 1),
                ("OnnxClassifier", replicas, most or replicas),
            )
        ),
    ]
    application = {"name": "sentiment", "deployments": deployments}
    return load(
        BASE,
        LOCAL,
        {
            "http_options": {"port": port},
            "applications": [{**application, "import_path": "benchmarks.stub:build"}],
        },
    )


def main() -> int:
    """Serve until SIGTERM."""
    given = Given.read()
    if os.environ.get(OWN_PROXY):
        ray_environment.ENVIRONMENT.update(ray_environment.OWN_PROXY)
    replicas, _, most = os.environ[REPLICAS].partition("-")
    ours.serve(config(given.port, int(replicas), int(most) if most else None), given.model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
