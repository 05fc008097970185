"""The one source of deployment numbers, and the override for one machine."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from serve_app.classifier import ReplicaConfig
from serve_app.serve_config import (
    BASE,
    LOCAL,
    Config,
    ConfigError,
    hash_of,
    least_cpus,
    load,
    merge,
)


def deployments(config: Config) -> dict[str, dict[str, Any]]:
    (application,) = config["applications"]
    return {deployment["name"]: deployment for deployment in application["deployments"]}


@pytest.mark.parametrize("overrides", [(), (LOCAL,)])
def test_ray_takes_the_configuration(overrides: tuple[Any, ...]) -> None:
    ServeDeploySchema.model_validate(load(BASE, *overrides))


def test_serve_ends_no_stream() -> None:
    assert "request_timeout_s" not in load()["http_options"]


@pytest.mark.parametrize("name", ["TorchClassifier", "OnnxClassifier"])
def test_each_backend_scales_on_its_own_from_one_to_ten(name: str) -> None:
    deployment = deployments(load())[name]
    assert deployment["autoscaling_config"]["min_replicas"] == 1
    assert deployment["autoscaling_config"]["max_replicas"] == 10


@pytest.mark.parametrize("name", ["TorchClassifier", "OnnxClassifier"])
def test_threads_equal_the_cpus_in_the_clusters_numbers(name: str) -> None:
    deployment = deployments(load())[name]
    config = ReplicaConfig.model_validate(deployment["user_config"])
    assert config.workers * config.threads == deployment["ray_actor_options"]["num_cpus"]


def test_one_machine_with_two_cores_fits_two_replicas_of_each() -> None:
    config = load(BASE, LOCAL)
    assert least_cpus(config) <= 1
    most = sum(
        deployment["ray_actor_options"]["num_cpus"]
        * deployment.get("autoscaling_config", {}).get("max_replicas", 1)
        for deployment in deployments(config).values()
    )
    assert most <= 2


def test_an_override_changes_what_it_names_and_nothing_else() -> None:
    base = {"a": {"x": 1, "y": 2}, "list": [{"name": "one", "n": 1}, {"name": "two", "n": 2}]}
    merged = merge(base, {"a": {"y": 3}, "list": [{"name": "two", "m": 5}]})
    assert merged == {
        "a": {"x": 1, "y": 3},
        "list": [{"name": "one", "n": 1}, {"name": "two", "n": 2, "m": 5}],
    }
    assert base["a"] == {"x": 1, "y": 2}


def test_an_override_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="three"):
        merge([{"name": "one"}], [{"name": "three"}])


def test_the_hash_follows_the_values() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 1, "b": 3})


def test_the_hash_is_where_a_change_of_it_restarts_nothing() -> None:
    config = load()
    assert deployments(config)["Ingress"]["user_config"] == {"config_hash": hash_of(config)}
    assert config["applications"][0]["args"] == {}
    assert hash_of(config) == hash_of(yaml.safe_load(BASE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("applications: [", "is no YAML"),
        ("- a", "holds no mapping"),
        ("applications: [{name: other}]", "the override names 'other'"),
    ],
)
def test_what_is_wrong_with_an_override_is_a_sentence(
    tmp_path: Path, content: str | None, said: str
) -> None:
    override = tmp_path / "local.yaml"
    if content is not None:
        override.write_text(content)
    with pytest.raises(ConfigError, match=f"local.yaml.* ?{said}"):
        load(BASE, override)


def test_an_override_in_code_is_refused_as_one_in_a_file_is() -> None:
    with pytest.raises(ConfigError, match="the override names 'other'"):
        load(BASE, {"applications": [{"name": "other"}]})
