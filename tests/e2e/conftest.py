"""Fixtures of the scenarios on a cluster: the current kube context, a namespace each, releases, figures.

Settings: ``E2E_IMAGE`` (default ``auth-service:VERSION``), the image that the cluster can run; ``E2E_LOAD``, a command
that brings it there (it is run once, with the image as its last argument); ``E2E_OTHER_IMAGE``, another tag of it to
upgrade to; ``E2E_OUTAGE_SECONDS`` (60), how long Redis stays away; ``E2E_KEEP=1`` leaves the namespaces.
"""

import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from app import __version__
from tests.e2e.cluster import CHART, Namespace, run
from tests.e2e.figures import Figures
from tests.e2e.installation import Install
from tests.e2e.load import LoadPod, delete_namespace

LIVE_WITHIN = "180s"


@pytest.fixture(scope="session")
def image() -> str:
    """The image under test; the cluster can run it."""
    name = os.environ.get("E2E_IMAGE", f"auth-service:{__version__}")
    if load := os.environ.get("E2E_LOAD"):
        run(*shlex.split(load), name, seconds=300)
    run("kubectl", "get", "nodes")  # a cluster is a precondition: without one this is an error, no skip
    return name


@pytest.fixture
def make_namespace(image: str) -> Iterator[Callable[[], Namespace]]:
    """``make_namespace()``: a namespace in which only restricted pods may run."""
    made: list[Namespace] = []

    def make() -> Namespace:
        namespace = Namespace(f"auth-e2e-{secrets.token_hex(3)}", image)
        run("kubectl", "create", "namespace", namespace.name)
        made.append(namespace)
        run("kubectl", "label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
        return namespace

    yield make
    if not os.environ.get("E2E_KEEP"):
        for namespace in made:
            delete_namespace(namespace.name)


@pytest.fixture
def namespace(make_namespace: Callable[[], Namespace]) -> Namespace:
    return make_namespace()


@pytest.fixture
def install() -> Install:
    """``install(namespace, release, values)``: ``helm install --wait --atomic``; the name of its Service."""

    def done(namespace: Namespace, release: str, values: Mapping[str, Any]) -> str:
        chart = str(CHART)
        namespace.helm("install", release, chart, "--wait", "--atomic", "--timeout", LIVE_WITHIN, values=values)
        return f"{release}-auth-service"

    return done


@pytest.fixture
def load_pod(namespace: Namespace) -> LoadPod:
    return LoadPod(namespace)


@pytest.fixture(scope="session")
def figures() -> Figures:
    return Figures()
