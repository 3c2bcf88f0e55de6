"""Whether an object is what Kubernetes would take, by the strict schemas inside the wheel of kubernetes-validate."""

import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

from tests.programs.charts import Manifest

# Kinds of others, whose schemas are not Kubernetes' own: the fields that the chart may use at the top of `spec`.
FOREIGN = {
    "HTTPRoute": {"parentRefs", "hostnames", "rules"},
    "ServiceMonitor": {"selector", "namespaceSelector", "endpoints"},
    "PodMonitor": {"selector", "namespaceSelector", "podMetricsEndpoints"},
    "PrometheusRule": {"groups"},
    "ScaledObject": {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "triggers",
    },
    "TestRun": {"parallelism", "script", "arguments", "runner", "starter"},
    "ExternalSecret": {"refreshInterval", "secretStoreRef", "target", "dataFrom"},
}


@functools.cache
def validator(version: str, kind: str, api_version: str) -> Any:
    """The strict validator of a kind, from the schemas inside the wheel of kubernetes-validate."""
    minor = ".".join(version.split(".")[:2])
    root = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{minor}.0-local-strict"
    group, _, name = api_version.rpartition("/")
    file = f"{kind.lower()}-{group.split('.')[0] + '-' if group else ''}{name}.json"
    schema = json.loads((root / file).read_text())
    return jsonschema.Draft202012Validator(schema, registry=Resource.from_contents(definitions(str(root))) @ Registry())


@functools.cache
def definitions(root: str) -> Any:
    return json.loads((Path(root) / "_definitions.json").read_text())


def problems_of(made: Manifest, version: str) -> list[str]:
    """What a Kubernetes of that version would not accept; for kinds of others, fields that they do not have."""
    if made["kind"] in FOREIGN:
        strange = set(made["spec"]) - FOREIGN[made["kind"]]
        return [f"spec has no {', '.join(sorted(strange))}"] if strange else []
    errors = validator(version, made["kind"], made["apiVersion"]).iter_errors(made)
    return [f"{'.'.join(map(str, error.path))}: {error.message[:200]}" for error in errors]
