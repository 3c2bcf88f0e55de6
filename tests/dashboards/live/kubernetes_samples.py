"""Sample series of kube-state-metrics and cAdvisor, for there is no cluster here: three pods of a release, made up.

The names and labels are those of alerts/external-metrics.yaml; the values follow a clock, as those of a deployment that
grows from two pods to three would. They prove that the queries of the Kubernetes dashboard have answers, nothing more.
"""

import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.programs.served import Served

NAMESPACE, RELEASE = "auth", "auth-service"
PODS = ("auth-service-7d9c5b6f4-2xkqp", "auth-service-7d9c5b6f4-9vjtw", "auth-service-7d9c5b6f4-mz8lc")
MEBIBYTE = 1024.0 * 1024.0
_GROWS_AFTER, _RESTARTS_AFTER = 100.0, 190.0


def kube_state_metrics(elapsed: float) -> str:
    """What kube-state-metrics would say so many seconds after the beginning."""
    return "".join(_lines(_objects(elapsed)))


def cadvisor(elapsed: float) -> str:
    """What the kubelet's cAdvisor would say."""
    return "".join(_lines(_containers(elapsed)))


Sample = tuple[str, dict[str, str], float]


def _objects(elapsed: float) -> Iterator[Sample]:
    wanted = 2.0 if elapsed < _GROWS_AFTER else 3.0
    ready = 2.0 if elapsed < _GROWS_AFTER + 15 else 3.0
    for name, value in (
        ("status_current_replicas", wanted),
        ("status_desired_replicas", wanted),
        ("spec_min_replicas", 2.0),
        ("spec_max_replicas", 6.0),
    ):
        yield f"kube_horizontalpodautoscaler_{name}", {"horizontalpodautoscaler": RELEASE}, value
    yield "kube_deployment_spec_replicas", {"deployment": RELEASE}, wanted
    yield "kube_deployment_status_replicas_available", {"deployment": RELEASE}, ready
    succeeded = time.time() - elapsed - (1200 if elapsed < 120 else -110)
    yield "kube_cronjob_status_last_successful_time", {"cronjob": f"{RELEASE}-rotation"}, succeeded
    for number, pod in enumerate(PODS[: int(wanted)]):
        of_pod = {"pod": pod}
        of_container = {**of_pod, "container": RELEASE}
        yield "kube_pod_status_ready", {**of_pod, "condition": "true"}, float(number < ready)
        restarts = float(number == 0 and elapsed > _RESTARTS_AFTER)
        yield "kube_pod_container_status_restarts_total", of_container, restarts
        for resource, requested, limit in (("cpu", 0.5, 1.0), ("memory", 256 * MEBIBYTE, 512 * MEBIBYTE)):
            yield "kube_pod_container_resource_requests", {**of_container, "resource": resource}, requested
            yield "kube_pod_container_resource_limits", {**of_container, "resource": resource}, limit


def _containers(elapsed: float) -> Iterator[Sample]:
    for number, pod in enumerate(PODS if elapsed > _GROWS_AFTER + 10 else PODS[:2]):
        labels = {"pod": pod, "container": RELEASE}
        age = elapsed if number < 2 else elapsed - _GROWS_AFTER
        phase = elapsed / 25 + number
        # The integral of 0.42 + 0.12 sin(phase): what has been used of a core until now.
        cpu = 0.42 * age - 0.12 * 25 * (math.cos(phase) - math.cos(phase - age / 25))
        yield "container_cpu_usage_seconds_total", labels, cpu
        yield "container_cpu_cfs_periods_total", labels, age * 10
        yield "container_cpu_cfs_throttled_periods_total", labels, max(0.0, age * 10 * (0.02 + 0.02 * number))
        memory = (118 + 9 * number + 14 * (1 - math.exp(-age / 60))) * MEBIBYTE
        yield "container_memory_working_set_bytes", labels, memory


def _lines(samples: Iterator[Sample]) -> Iterator[str]:
    for name, labels, value in samples:
        pairs = ",".join(f'{label}="{text}"' for label, text in {"namespace": NAMESPACE, **labels}.items())
        yield f"{name}{{{pairs}}} {value}\n"


class KubernetesSamples(Served):
    """Serves both on one free port while it is entered, at ``/kube-state-metrics`` and ``/cadvisor``."""

    def __init__(self) -> None:
        began = time.monotonic()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                elapsed = time.monotonic() - began
                text = (cadvisor if self.path.startswith("/cadvisor") else kube_state_metrics)(elapsed)
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"
