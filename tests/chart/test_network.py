"""Who may reach whom: the rendered NetworkPolicies, evaluated by the rules of networking.k8s.io/v1, against a matrix.

It says what the policies say. Whether a cluster enforces them is up to its network.
"""

from ipaddress import ip_address, ip_network
from typing import Any

import msgspec
import pytest

from tests.programs.charts import Manifest, fixture_values, render

DNS, API, PROMETHEUS, REDIS, OTLP, STRANGER, INTERNET = (
    "dns",
    "api-server",
    "prometheus",
    "redis elsewhere",
    "collector",
    "stranger",
    "internet",
)


class End(msgspec.Struct, frozen=True):
    """A pod (namespace and labels), or an address outside of the cluster."""

    namespace: str = ""
    labels: dict[str, str] = {}
    address: str = "10.9.9.9"


def ours(component: str, release: str = "rel", namespace: str = "auth") -> End:
    labels = {"name": "auth-service", "instance": release, "component": component}
    return End(namespace, {f"app.kubernetes.io/{key}": value for key, value in labels.items()})


ENDS = {
    **{name: ours(name) for name in ("service", "bootstrap", "rotation", "test", "load-test", "redis")},
    "other release": ours("service", release="other"),
    DNS: End("kube-system", {"k8s-app": "kube-dns"}),
    API: End(address="10.0.0.1"),
    PROMETHEUS: End("monitoring", {"app": "prometheus"}),
    REDIS: End("data", {"app": "redis"}),
    OTLP: End("observability", {"app": "collector"}),
    STRANGER: End("default", {"app": "stranger"}),
    INTERNET: End(address="203.0.113.7"),
}
PORTS = {"http": 8080, "metrics": 9464, "redis": 6379}


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, selector
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def is_peer(peer: Manifest, end: End, home: str) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        inside = ip_address(end.address) in ip_network(block["cidr"])
        return inside and not any(ip_address(end.address) in ip_network(out) for out in block.get("except", []))
    if not end.namespace:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace}):
            return False
    elif end.namespace != home:
        return False
    return selects(peer.get("podSelector", {}), end.labels)


def lets(policies: list[Manifest], kind: str, end: End, other: End, port: int) -> bool:
    """Whether the policies of ``end`` let it talk (``kind`` Ingress: be talked to)."""
    direction = "from" if kind == "Ingress" else "to"
    selecting = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == end.namespace
        and selects(policy["spec"]["podSelector"], end.labels)
        and kind in policy["spec"]["policyTypes"]
    ]
    if not selecting:
        return True
    for policy in selecting:
        for rule in policy["spec"].get(kind.lower(), []):
            ports = [PORTS.get(entry["port"], entry["port"]) for entry in rule.get("ports", [])]
            peers = rule.get(direction, [])
            if (not ports or port in ports) and (not peers or any(is_peer(p, other, end.namespace) for p in peers)):
                return True
    return False


def reachable(values: Manifest) -> set[tuple[str, str, int]]:
    """All (from, to, port) that are open, where one of the two is the release's own."""
    policies = [made for made in render(values).objects if made["kind"] == "NetworkPolicy"]
    own = {policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for policy in policies}
    absent = {"bootstrap", "rotation", "test", "load-test", "redis"} - own
    ends = {name: end for name, end in ENDS.items() if name not in absent}
    return {
        (source, target, port)
        for source, a in ends.items()
        for target, b in ends.items()
        for port in (53, 443, 4318, 6379, 6443, 8080, 9001, 9090, 9464)
        if source != target
        and (source in own or target in own)
        and lets(policies, "Egress", a, b, port)
        and lets(policies, "Ingress", b, a, port)
    }


def into(component: str, found: set[tuple[str, str, int]]) -> dict[int, set[str]]:
    ports: dict[int, set[str]] = {}
    for source, target, port in found:
        if target == component:
            ports.setdefault(port, set()).add(source)
    return ports


def out_of(component: str, found: set[tuple[str, str, int]]) -> dict[int, set[str]]:
    ports: dict[int, set[str]] = {}
    for source, target, port in found:
        if source == component:
            ports.setdefault(port, set()).add(target)
    return ports


PODS_OF_OTHERS = {DNS, PROMETHEUS, REDIS, OTLP, STRANGER}
"""Pods without policies of their own; "other release" is the one whose policies are not among these."""
EVERYBODY = PODS_OF_OTHERS | {"other release"}
NAMES = {53: {DNS}}


@pytest.mark.usefixtures("chart_tool")
def test_the_trial() -> None:
    found = reachable(fixture_values("default"))
    assert into("service", found) == {8080: EVERYBODY | {"test"}, 9464: {PROMETHEUS}}
    assert out_of("service", found) == NAMES
    assert out_of("test", found) == {**NAMES, 8080: {"service"}}
    for job in ("bootstrap", "rotation"):
        assert into(job, found) == {}
        anywhere = EVERYBODY | {API, INTERNET}
        assert out_of(job, found) == {**NAMES, 443: anywhere, 6443: anywhere}
    assert into("test", found) == {}


@pytest.mark.usefixtures("chart_tool")
def test_production_with_narrow_addresses() -> None:
    values = fixture_values("production") | {"redis": {"url": "redis://redis.data.svc:6379/0"}}
    found = reachable(values)
    assert into("service", found) == {8080: EVERYBODY | {"test"}, 9464: {PROMETHEUS}}
    assert out_of("service", found) == {**NAMES, 6379: {REDIS}}
    for job in ("bootstrap", "rotation"):
        assert out_of(job, found) == {**NAMES, 6443: {API}}


@pytest.mark.usefixtures("chart_tool")
def test_keys_in_redis_need_redis_and_no_api_server() -> None:
    values = fixture_values("keys-in-redis") | {
        "networkPolicy": {
            "redis": {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}]},
            "apiServer": {"cidrs": ["10.0.0.1/32"]},
        }
    }
    found = reachable(values)
    assert out_of("rotation", found) == {**NAMES, 6379: {REDIS}}
    assert out_of("bootstrap", found) == {**NAMES, 6379: {REDIS}, 443: {API}, 6443: {API}}
    assert out_of("service", found) == {**NAMES, 6379: {REDIS}}


@pytest.mark.usefixtures("chart_tool")
def test_the_development_redis_knows_its_release_alone() -> None:
    found = reachable(fixture_values("dev-redis"))
    assert into("redis", found) == {6379: {"service"}}
    assert out_of("redis", found) == {}
    assert into("redis", reachable(fixture_values("keys-in-dev-redis"))) == {6379: {"service", "bootstrap", "rotation"}}


@pytest.mark.usefixtures("chart_tool")
def test_pods_that_rotate_reach_the_api_server() -> None:
    values = fixture_values("rotation-in-process") | {"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1/32"]}}}
    assert out_of("service", reachable(values)) == {**NAMES, 443: {API}, 6443: {API}}


@pytest.mark.usefixtures("chart_tool")
def test_the_load_test_reaches_its_target_alone() -> None:
    found = out_of("load-test", reachable(fixture_values("load-test")))
    assert (found[53], found[8080], set(found)) == ({DNS}, {"service"}, {53, 8080, 9001})
    elsewhere = out_of("load-test", reachable(fixture_values("load-test-elsewhere")))
    assert set(elsewhere) == {53, 443}
    assert INTERNET in elsewhere[443]


@pytest.mark.usefixtures("chart_tool")
def test_the_load_test_that_reads_counters_reaches_those_of_its_service_and_no_other_does() -> None:
    found = reachable(fixture_values("load-test-uniform"))
    assert out_of("load-test", found) == {**NAMES, 8080: {"service"}, 9464: {"service"}}
    assert "load-test" in into("service", found)[9464]
    assert "load-test" not in into("service", reachable(fixture_values("load-test")))[9464]


@pytest.mark.usefixtures("chart_tool")
def test_the_load_test_reaches_what_it_writes_to_and_no_responder_of_its_own_pod() -> None:
    found = out_of("load-test", reachable(fixture_values("load-test-calibrated")))
    assert set(found) == {53, 8080, 9090}
    assert {PROMETHEUS, INTERNET} < found[9090]
    assert found[8080] == {"service"}


@pytest.mark.usefixtures("chart_tool")
def test_the_operator_and_its_starter_reach_the_runner_and_strangers_do_not() -> None:
    runner = ours("load-test")  # the starter has the same labels
    operator = End("k6-operator-system", {"app.kubernetes.io/name": "k6-operator"})

    def open_to(fixture: str) -> list[bool]:
        made = render(fixture_values(fixture)).objects
        policies = [one for one in made if one["kind"] == "NetworkPolicy"]
        starter = lets(policies, "Egress", runner, runner, 6565) and lets(policies, "Ingress", runner, runner, 6565)
        others = [lets(policies, "Ingress", runner, end, 6565) for end in (operator, ENDS[STRANGER])]
        return [starter, *others]

    assert open_to("load-test-operator") == [True, True, False]
    assert open_to("load-test") == [False, False, False]


@pytest.mark.usefixtures("chart_tool")
def test_a_narrowed_public_port_is_closed_to_strangers_and_open_to_the_tests() -> None:
    label = {"kubernetes.io/metadata.name": "default"}
    found = reachable({"networkPolicy": {"public": {"from": [{"namespaceSelector": {"matchLabels": label}}]}}})
    assert into("service", found)[8080] == {STRANGER, "test"}


@pytest.mark.usefixtures("chart_tool")
def test_the_evaluation_sees_a_policy_that_is_gone() -> None:
    values: dict[str, Any] = {"networkPolicy": {"enabled": False}}
    assert reachable(values) == set()
    policies: list[Manifest] = []
    assert lets(policies, "Ingress", ENDS["service"], ENDS[STRANGER], 9464)
