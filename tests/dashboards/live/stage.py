"""Where dashboards are looked at: three processes of the service, Redis, a collector, k6, a Prometheus, a few minutes.

In them all happens that a dashboard would show: traffic that swings, keys that rotate, a Redis that is away for a
moment, a restart, a refused reload, a load test.
"""

import base64
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import yaml
from jwt.algorithms import ECAlgorithm

from loadtest.generator import run
from loadtest.scenarios import scenario
from tests.alerts.rule_files import ROOT, RULE_FILES
from tests.dashboards.live.kubernetes_samples import KubernetesSamples
from tests.dashboards.live.traffic import PUBLISHER_KEY, Traffic
from tests.programs.certificates import issue
from tests.programs.document_server import DocumentServer, document
from tests.programs.otlp_receiver import OtlpReceiver
from tests.programs.prometheus_process import PrometheusProcess
from tests.programs.redis_process import RedisProcess
from tests.programs.service_clients import EVERY_CLIENT, RegisteredClient, with_secret, write_clients
from tests.programs.service_process import ServiceProcess

SECONDS = 270.0
"""From the first request to the last."""
K6_CLIENT = with_secret("k6", scopes=["read"], rate_limit_per_minute="unlimited")
_KEYS = {
    "JWKS_MAX_AGE_SECONDS": "1",
    "KEYS_PROPAGATION_SECONDS": "2",
    "KEY_CLOCK_SKEW_SECONDS": "0",
    "JWKS_ROTATION_SECONDS": "75",
    "JWKS_RETAIN_SECONDS": "90",
    "TOKEN_EXPIRY_SECONDS": "90",
}
_TRACES = {
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.05",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "500",
}


class Stage(NamedTuple):
    """What was played, and by whom it was seen."""

    prometheus: PrometheusProcess
    start: float
    """Unix seconds of the first request."""
    end: float
    """Unix seconds of the last."""


def rules_of_the_repository() -> str:
    """All rules in one file, evaluated every second."""
    groups = [
        {"name": group["name"], "interval": "1s", "rules": group["rules"]}
        for path in RULE_FILES
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000)


def play(folder: Path, redis_server: str, stack: ExitStack) -> Stage:
    """Start everything, let it run, and return while Prometheus still answers."""
    for name in ("prometheus", "auth-0", "auth-1", "auth-2", "redis", "k6", "host"):
        (folder / name).mkdir()
    flags = ["--enable-feature=exemplar-storage", "--web.enable-remote-write-receiver"]
    prometheus = stack.enter_context(
        PrometheusProcess(folder / "prometheus", rules_of_the_repository(), arguments=flags)
    )
    kubernetes = stack.enter_context(KubernetesSamples())
    collectors = [stack.enter_context(OtlpReceiver()), stack.enter_context(OtlpReceiver(status=503))]
    redis = RedisProcess(redis_server, folder / "redis", ["--maxmemory", "8mb"])
    stack.callback(redis.kill)
    settings = {**_outgoing(folder / "host", stack), **_shared(folder, redis)}

    def start(name: str, **own: str) -> ServiceProcess:
        service = ServiceProcess(folder / name, {**settings, **_TRACES, "PROBE_INTERVAL_SECONDS": "1", **own})
        stack.callback(service.kill)
        return service

    services = [
        start(f"auth-{number}", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        for number, collector in enumerate(collectors)
    ]
    alone = start("auth-2", **_in_memory(folder / "auth-2"))
    began = time.time()

    def scrape() -> None:
        named = {f"auth-{number}": each.metrics_url for number, each in enumerate((*services, alone))}
        prometheus.scrape(named)

    scrape()
    for job in ("kube-state-metrics", "cadvisor"):
        prometheus.scrape({f"{job}:8080": kubernetes.url}, job, __metrics_path__=f"/{job}")

    def restart() -> None:
        services[1].stop()
        (folder / "auth-1" / "again").mkdir()
        services[1] = start("auth-1/again", OTEL_EXPORTER_OTLP_ENDPOINT=collectors[1].url)
        scrape()

    clients = folder / "clients.yaml"
    good = clients.read_text()
    events: list[tuple[float, Callable[[], object]]] = [
        (0.20, lambda: clients.write_text("version: 1\nclients: nonsense\n")),
        (0.30, lambda: clients.write_text(good)),
        (0.45, redis.stop),
        (0.47, redis.restart),
        (0.62, restart),
    ]
    with Traffic(services), LoadTest(services[0], prometheus, folder / "k6"):
        for part, event in events:
            time.sleep(max(0.0, began + part * SECONDS - time.time()))
            event()
        time.sleep(max(0.0, began + SECONDS - time.time()))
    return Stage(prometheus, began, time.time())


def _shared(folder: Path, redis: RedisProcess) -> dict[str, str]:
    (folder / "kek").write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return {
        "CLIENTS_FILE": str(_clients(folder)),
        "REDIS_URL": redis.url,
        "STORE_FALLBACK": "fail",
        "RATE_LIMIT_BACKEND": "redis",
        "KEYS_SOURCE": "redis:",
        "KEYS_KEK_FILE": str(folder / "kek"),
        **_KEYS,
    }


def _clients(folder: Path) -> Path:
    uri = (folder / "host" / "uri").read_text()
    entry = {"id": "publisher", "auth_method": "private_key_jwt", "jwks_uri": uri, "scopes": ["read"]}
    return write_clients(folder / "clients.yaml", (*EVERY_CLIENT, K6_CLIENT, RegisteredClient("publisher", "", entry)))


def _outgoing(folder: Path, stack: ExitStack) -> dict[str, str]:
    """A host over TLS that publishes a client's keys, and the settings that allow the service to fetch them."""
    authority = issue(folder, "authority")
    host = stack.enter_context(DocumentServer(issue(folder, "host", authority)))
    key = {**ECAlgorithm.to_jwk(PUBLISHER_KEY.public_key(), as_dict=True), "kid": "published"}
    members = ",".join(f'"{name}": "{key[name]}"' for name in ("kid", "kty", "crv", "x", "y"))
    host.answers["/jwks.json"] = document(f'{{"keys": [{{{members}}}]}}'.encode(), cache_control="max-age=20")
    (folder / "uri").write_text(host.url("/jwks.json"))
    return {"OUTGOING_CA_FILE": str(authority.certificate_file), "OUTGOING_ALLOWED_NETWORKS": "127.0.0.0/8"}


def _in_memory(folder: Path) -> dict[str, str]:
    """A process without Redis, with TLS: what only other settings show."""
    served = issue(folder, "served", issue(folder, "its-authority"), days=60)
    return {
        "REDIS_URL": "",
        "RATE_LIMIT_BACKEND": "memory",
        "KEYS_SOURCE": "memory:",
        "KEYS_KEK_FILE": "",
        "TLS_CERT_FILE": str(served.certificate_file),
        "TLS_KEY_FILE": str(served.key_file),
        "OTEL_TRACES_EXPORTER": "none",
    }


class LoadTest:
    """k6 in the middle half of the time, writing what it sees to Prometheus."""

    def __init__(self, service: ServiceProcess, prometheus: PrometheusProcess, folder: Path) -> None:
        stats = yaml.safe_load((ROOT / "chart/values.yaml").read_text())["loadTest"]["prometheus"]["trendStats"]
        self._output = {
            "K6_OUT": "experimental-prometheus-rw",
            "K6_PROMETHEUS_RW_SERVER_URL": f"{prometheus.url}/api/v1/write",
            "K6_PROMETHEUS_RW_TREND_STATS": ",".join(stats),
            "K6_PROMETHEUS_RW_PUSH_INTERVAL": "1s",
        }
        self._script = {
            "BASE_URL": service.base_url,
            "CLIENT_ID": K6_CLIENT.id,
            "CLIENT_SECRET": K6_CLIENT.secret,
            "RUN_ID": "evening",
            "RATE": "25",
            "DURATION_FACTOR": str(SECONDS / 2 / 1800),
        }
        self._folder = folder
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        time.sleep(SECONDS / 4)
        run(scenario("soak"), environ=self._script, report=self._folder / "report")

    def __enter__(self) -> None:
        os.environ.update(self._output)  # k6's own settings are taken from there
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        for name in self._output:
            del os.environ[name]
