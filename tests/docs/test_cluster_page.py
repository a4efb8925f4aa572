"""What the page on clusters has people apply is understood by those who get it."""

import re
import tomllib
from typing import Any

import pytest
from documentation import PROJECT

from segforge.cli.main import _parser
from segforge.experiment.job_resources import JobResources

PAGE = (PROJECT / "docs" / "how-to" / "cluster.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)
    return found


@pytest.fixture(scope="module")
def manifest() -> dict[tuple[str, str], dict[str, Any]]:
    """The objects for Kubernetes by kind and name."""
    yaml = pytest.importorskip("yaml")
    objects = list(yaml.safe_load_all(block("yaml")))
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def pods(manifest) -> dict[str, dict[str, Any]]:
    """What pods are made from, by the name of what makes them."""
    return {name: item["spec"]["template"] for (_, name), item in manifest.items() if "template" in item["spec"]}


def typed(pod: dict[str, Any]) -> list[str]:
    (container,) = pod["spec"]["containers"]
    words = [*container["command"], *container.get("args", [])]
    assert all(isinstance(word, str) for word in words), "Kubernetes takes no numbers there"
    return words


def test_the_manifest_has_what_its_parts_speak_of(manifest) -> None:
    assert len(manifest) == 5
    for pod in pods(manifest).values():
        (volume,), (container,) = pod["spec"]["volumes"], pod["spec"]["containers"]
        assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in manifest
        assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/workspace"}]
    for kind, name in (("Deployment", "segforge-scheduler"), ("Deployment", "segforge-worker")):
        spec = manifest[kind, name]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    service = manifest["Service", "segforge-scheduler"]["spec"]
    assert service["selector"] == pods(manifest)["segforge-scheduler"]["metadata"]["labels"]
    address = f"tcp://segforge-scheduler:{service['ports'][0]['port']}"
    assert address in typed(pods(manifest)["segforge-worker"]) and address in typed(pods(manifest)["segforge-run"])


def test_its_commands_can_be_typed(manifest) -> None:
    worker = pytest.importorskip("distributed.cli.dask_worker").main
    scheduler = pytest.importorskip("distributed.cli.dask_scheduler").main
    words = {name: typed(pod) for name, pod in pods(manifest).items()}
    assert words["segforge-run"][0] == "segforge"
    options = _parser(words["segforge-run"][1:]).parse_args(words["segforge-run"][1:])
    assert (options.executor, options.workspace) == ("dask", "/workspace")
    assert words["segforge-scheduler"][:2] == ["dask", "scheduler"] and words["segforge-worker"][:2] == ["dask", "worker"]
    (service,) = manifest["Service", "segforge-scheduler"]["spec"]["ports"]
    started = scheduler.make_context("scheduler", words["segforge-scheduler"][2:]).params
    assert int(started["port"]) == service["port"]
    assert worker.make_context("worker", words["segforge-worker"][2:]).params["resources"] == "GPU=1 MEMORY=32e9"


def test_the_table_of_resources_shows_the_defaults() -> None:
    shown = tomllib.loads(block("toml"))
    assert shown["train"].pop("lines") and shown["cluster"].pop("workers")  # none by default
    assert JobResources.model_validate(shown) == JobResources()
    assert shown.keys() == JobResources.model_fields.keys()
