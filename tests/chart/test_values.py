"""Every value does something, every setting can be reached, and what is wrong is refused with a sentence."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.config.fields import all_fields
from tests.programs.charts import CHART, FIXTURES, KUBE_VERSIONS, ROOT, Render, fixture_values, render, render_all
from tools.chart_values import read_values

Rendered = dict[tuple[str, str], Render]
VALUES = read_values((CHART / "values.yaml").read_text())
LEAVES = {value.path: value for value in VALUES if not value.is_group}
PURPOSELESS: set[tuple[str, ...]] = {("global",)}
"""There for a parent chart's sake: Helm adds it to the values of every chart."""
if not list((ROOT / "dashboards").glob("*.json")):
    PURPOSELESS |= {path for path in LEAVES if path[:2] == ("metrics", "dashboards")}


def leaves_of(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The values that a fixture sets."""
    for key, value in values.items():
        here = (*path, key)
        if here in LEAVES:
            yield here
        else:
            yield from leaves_of(value, here)


def without(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(values)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def test_every_value_is_set_by_a_fixture_and_changes_what_is_rendered(rendered: Rendered) -> None:
    fixtures_of: dict[tuple[str, ...], list[str]] = {}
    for name in FIXTURES:
        for path in leaves_of(fixture_values(name)):
            fixtures_of.setdefault(path, []).append(name)
    effective: set[tuple[str, ...]] = set()
    # One fixture of each value first: most have an effect in any.
    for some in (slice(0, 1), slice(1, None)):
        jobs = [(name, path) for path in fixtures_of.keys() - effective for name in fixtures_of[path][some]]
        renders = render_all([{"values": without(fixture_values(name), path)} for name, path in jobs])
        effective |= {
            path
            for (name, path), other in zip(jobs, renders, strict=True)
            if (other.manifest, other.error) != (rendered[name, KUBE_VERSIONS[-1]].manifest, "")
        }
    # The Job's name has the hash of its pod in it, so that a change of nothing else would be noticed as well.
    ineffective = sorted(".".join(path) for path in LEAVES.keys() - effective - PURPOSELESS)
    assert not ineffective, " ".join(ineffective)


def test_a_value_without_effect_would_be_noticed(rendered: Rendered) -> None:
    same = render({"global": {"anything": True}})
    assert same.manifest == rendered["default", KUBE_VERSIONS[-1]].manifest


def service_env(made: Render) -> dict[str, Any]:
    found = made.one("Deployment")["spec"]["template"]["spec"]["containers"]
    (container,) = [c for c in found if c["name"] == "auth-service"]
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names))
    return {variable["name"]: variable.get("value") for variable in container["env"]}


# Reached by extraEnv alone, each for a reason.
BY_EXTRA_ENV = {
    "ADMIN_ALLOWED_HOSTS": "the listener is on the pod's loopback, reached by kubectl port-forward as localhost",
    "LOG_REQUESTS": "for a while, when somebody looks for something",
    "LOG_REQUESTS_RATIO": "the same",
    "CLIENT_CREDENTIALS": "secrets in the environment; clients.* is the way",
    "CLIENT_CREDENTIALS_FILE": "for a file of extraVolumes; clients.* is the way",
    "ALLOWED_SCOPES": "belongs to CLIENT_CREDENTIALS",
    "KEYS_FILE": "another word for KEYS_SOURCE",
    "OUTGOING_CA_FILE": "for a file of extraVolumes",
    "REDIS_PASSWORD": "a secret in the environment; redis.existingSecret mounts a file",
}


def test_every_setting_is_reached_by_a_value_or_left_to_extra_env(rendered: Rendered) -> None:
    reached = set().union(*(service_env(rendered[name, KUBE_VERSIONS[-1]]) for name in FIXTURES))
    settings = {field.name for field in all_fields()}
    otel = {name for name in settings if name.startswith("OTEL_")}
    assert settings - reached - BY_EXTRA_ENV.keys() - otel == set()
    assert BY_EXTRA_ENV.keys() & reached == set()
    strangers = {"POD_IP", "TZ", "NODE_NAME"}
    assert reached - settings - strangers == set()


@pytest.mark.parametrize("name", sorted(BY_EXTRA_ENV))
def test_what_has_no_value_goes_through_extra_env(chart_tool: Callable[[str], str], name: str) -> None:
    assert service_env(render({"extraEnv": [{"name": name, "value": "x"}]}))[name] == "x"


NOT_A_VALUE = [
    ({"replicas": 3}, "replicas"),
    ({"image": {"tga": "1"}}, "tga"),
    ({"image": {"tag": "latest"}}, "image/tag"),
    ({"image": {"digest": "sha256:abc"}}, "image/digest"),
    ({"replicaCount": "three"}, "replicaCount"),
    ({"replicaCount": -1}, "replicaCount"),
    ({"store": {"type": "postgres"}}, "store/type"),
    ({"store": {"fallback": "maybe"}}, "store/fallback"),
    ({"redis": {"url": "redis://:secret@redis:6379"}}, "redis/url"),
    ({"redis": {"url": "http://redis"}}, "redis/url"),
    ({"redis": {"keyPrefix": "a b"}}, "redis/keyPrefix"),
    ({"issuer": {"url": "https://user@auth.example.com"}}, "issuer/url"),
    ({"issuer": {"url": "auth.example.com"}}, "issuer/url"),
    ({"clients": {"config": [{"id": "a", "secrets": [{"secret": "plain"}]}]}}, "clients/config"),
    ({"clients": {"config": [{"id": "a", "secrets": [{"hash": "plain"}]}]}}, "clients/config"),
    ({"clients": {"config": [{"scopes": ["read"]}]}}, "clients/config"),
    ({"keys": {"source": "file"}}, "keys/source"),
    ({"keys": {"algorithms": ["HS256"]}}, "keys/algorithms"),
    ({"keys": {"rotation": {"mode": "sometimes"}}}, "keys/rotation/mode"),
    ({"tokens": {"expirySeconds": 59}}, "tokens/expirySeconds"),
    ({"resources": {"limit": {"cpu": "1"}}}, "resources"),
    ({"networkPolicy": {"public": {"from": [{}]}}}, "networkPolicy/public"),
    ({"probes": {"liveness": {"httpGet": {"path": "/"}}}}, "probes/liveness"),
    ({"extraEnv": [{"name": "A", "valu": "1"}]}, "extraEnv"),
    ({"loadTest": {"runId": "Not a name"}}, "loadTest/runId"),
    ({"tracing": {"endpoint": "http://user:pass@collector"}}, "tracing/endpoint"),
]


def test_what_is_no_value_is_refused_by_the_schema_at_its_place(chart_tool: Callable[[str], str]) -> None:
    chart_tool("chartrender")
    for (values, place), made in zip(NOT_A_VALUE, render_all([{"values": v} for v, _ in NOT_A_VALUE]), strict=True):
        assert "values don't meet the specifications of the schema" in made.error, values
        assert place in made.error, made.error


def test_the_schema_is_closed_on_every_level_that_is_the_charts_own() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def open_places(part: Any, place: str) -> Iterator[str]:
        if "properties" in part and part.get("additionalProperties") is not False:
            yield place
        for name, inner in part.get("properties", {}).items():
            yield from open_places(inner, f"{place}/{name}")

    assert list(open_places(schema, "")) == []
    assert [n for n, d in schema["definitions"].items() if list(open_places(d, n))] == []


def test_the_schema_and_the_page_are_what_the_values_say() -> None:
    command = [sys.executable, str(ROOT / "tools" / "chart_values.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_chart_has_the_version_of_the_service() -> None:
    chart = (CHART / "Chart.yaml").read_text()
    version = re.search(r'__version__ = "(.*)"', (ROOT / "app" / "__init__.py").read_text())
    assert version is not None
    assert f"appVersion: {version[1]}\n" in chart


def test_rules_dashboards_and_load_tests_are_the_repositorys_own() -> None:
    for name in ("alerts", "dashboards", "k6"):
        assert (CHART / "files" / name).resolve() == ROOT / name
    assert (CHART / "files" / "responder.py").resolve() == ROOT / "benchmarks" / "bare_server.py"
