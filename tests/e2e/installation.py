"""Values of the scenarios' releases."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.e2e.cluster import Namespace
from tests.e2e.load import CLIENTS

SMALL = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
"""Three replicas fit beside a build."""

Install = Callable[..., str]
"""``install(namespace, release, values)``: ``helm install --wait --atomic``; the name of its Service."""


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid over it, level by level, as helm does it."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def production(namespace: Namespace, **over: Any) -> dict[str, Any]:
    """Values of an installation with Redis: three replicas, and the load's clients."""
    base = {
        **namespace.image_values(),
        "replicaCount": 3,
        "store": {"type": "redis"},
        "devRedis": {"enabled": True, "resources": SMALL},
        "clients": {"config": CLIENTS},
        "resources": SMALL,
    }
    return merged(base, over)
