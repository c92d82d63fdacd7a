"""The example files of clusters: what Ray's schema says, and commands that exist."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from imse.cli.corpus import corpus

_FILES = Path(__file__).resolve().parents[2] / "examples" / "cluster"


def test_ray_up() -> None:
    config = yaml.safe_load((_FILES / "ray-up.yaml").read_text())
    validate_config(prepare_config(config))
    types = config["available_node_types"]
    assert config["head_node_type"] in types
    assert types["worker"]["max_workers"] <= config["max_workers"]


def test_kuberay() -> None:
    job = yaml.safe_load((_FILES / "kuberay.yaml").read_text())["spec"]
    program, command, *arguments = shlex.split(job["entrypoint"])
    assert (program, command) == ("imse", "corpus")
    parsed = corpus.make_context("corpus", arguments).params
    assert parsed["address"] == "auto"
    cluster = job["rayClusterSpec"]
    image = (_FILES / "Dockerfile").read_text()
    assert f"FROM rayproject/ray:{cluster['rayVersion']}-" in image
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
        assert mounts == {volume["name"] for volume in group["template"]["spec"].get("volumes", ())}
        assert int(group["rayStartParams"]["num-cpus"]) in {0, int(container["resources"]["limits"]["cpu"])}
