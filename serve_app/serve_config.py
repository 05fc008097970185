"""The Serve configuration: `serve_config.yaml` with an override laid over it."""

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BASE = ROOT / "serve_config.yaml"
LOCAL = ROOT / "serve_config.local.yaml"
APPLICATION = "sentiment"

Config = dict[str, Any]


class ConfigError(Exception):
    """A file of the configuration does not do; the message is a sentence."""


def load(base: Path = BASE, *overrides: Path | Config) -> Config:
    """The configuration as it is applied, with its own hash in it: see `with_hash`.

    Mappings are merged key by key; lists of named things (applications, deployments) by name.

    Raises:
        ConfigError: a file is missing, no YAML, or names what the base has not.
    """
    config = _read(base)
    for override in overrides:
        own = _read(override) if isinstance(override, Path) else override
        try:
            config = merge(config, own)
        except KeyError as error:
            raise ConfigError(f"{override}: {error.args[0]}.") from None
    return with_hash(config)


def _read(path: Path) -> Config:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path} holds no mapping.")
    return config


def merge(base: Any, override: Any) -> Any:
    """`override` laid over `base`.

    Raises:
        KeyError: it names an application or deployment that `base` has not.
    """
    if isinstance(base, Mapping) and isinstance(override, Mapping):
        merged = dict(base)
        for key, value in override.items():
            merged[key] = merge(base[key], value) if key in base else value
        return merged
    if _named(base) and _named(override):
        items = {item["name"]: item for item in base}
        for item in override:
            if item["name"] not in items:
                raise KeyError(f"the override names {item['name']!r}, which is not in the base")
            items[item["name"]] = merge(items[item["name"]], item)
        return list(items.values())
    return override


def hash_of(config: Config) -> str:
    """12 hex digits that change with any value of the configuration, but not with its layout.

    The hash that a configuration has in it does not count.
    """
    plain = copy.deepcopy(config)
    for deployment in _ingresses(plain):
        deployment.get("user_config", {}).pop("config_hash", None)
        if not deployment.get("user_config", True):
            del deployment["user_config"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def with_hash(config: Config) -> Config:
    """The configuration with its own hash in the ingress's `user_config`, for `/info` to show.

    There it is applied in place; a change of the application's arguments restarts every replica.
    """
    stamped = copy.deepcopy(config)
    digest = hash_of(config)
    for deployment in _ingresses(stamped):
        deployment["user_config"] = {**deployment.get("user_config", {}), "config_hash": digest}
    return stamped


def least_cpus(config: Config) -> float:
    """CPUs that the smallest number of replicas of every deployment needs together."""
    total: float = sum(
        float(deployment["ray_actor_options"]["num_cpus"])
        * deployment.get(
            "num_replicas", deployment.get("autoscaling_config", {}).get("min_replicas", 1)
        )
        for application in config["applications"]
        for deployment in application["deployments"]
    )
    return total


def _ingresses(config: Config) -> list[Config]:
    return [
        deployment
        for application in config.get("applications", [])
        for deployment in application["deployments"]
        if deployment["name"] == "Ingress"
    ]


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, Mapping) and "name" in v for v in value)
