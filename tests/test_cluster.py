"""What is said of replicas when Serve has none."""

from typing import Any, cast

from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serve_app.cluster import texts_in_hand


class GivenUp:
    """The handle of a deployment whose replicas failed to start too often."""

    def broadcast(self, _method: str) -> "GivenUp":
        return self

    async def results_async(self, **_options: Any) -> list[Any]:
        raise DeploymentUnavailableError(DeploymentID(name="TorchClassifier", app_name="sentiment"))


async def test_replicas_that_serve_gave_up_hold_no_texts_and_no_shutdown() -> None:
    assert await texts_in_hand({"transformers": cast("DeploymentHandle", GivenUp())}) == 0
