"""Every act that matters to security is told: each is done to a running service, or by a command, and its event read.

What an event looks like is ``docs/operations/audit.schema.json``; every event of every act here is held against it.
"""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.http.audit_acts import ACTS, STRICT_ACTS
from tests.http.audit_scene import Act, Scene, changed, differences
from tests.http.test_security_tls import install
from tests.programs.certificates import issue
from tests.programs.service_fixtures import FAST_PATHS, StartService

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "operations" / "audit.schema.json").read_text())


@pytest.fixture(scope="module")
def fast_path() -> str:
    """One mode will do: what is told does not depend on what carries the request."""
    return FAST_PATHS[0]


@pytest.fixture(scope="module")
def strict_scene(tmp_path_factory: pytest.TempPathFactory, start_module_service: StartService) -> Iterator[Scene]:
    limits = {"RATE_LIMIT_FAILURES_PER_MINUTE": "300", "RATE_LIMIT_INTROSPECTIONS_PER_MINUTE": "5"}
    scene = Scene(tmp_path_factory.mktemp("strict"), start_module_service, **limits, REFRESH_REUSE_GRACE_SECONDS="60")
    yield scene
    scene.calls.close()


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, start_module_service: StartService, redis_url: str
) -> Iterator[Scene]:
    prefix = {"REDIS_URL": redis_url, "REDIS_KEY_PREFIX": f"test-{secrets.token_hex(8)}"}
    scene = Scene(tmp_path_factory.mktemp("acts"), start_module_service, **prefix)
    yield scene
    scene.calls.close()


@pytest.mark.parametrize("act", ACTS, ids=[act.what for act in ACTS])
def test_an_act_is_told(scene: Scene, act: Act) -> None:
    told(scene, act)


@pytest.mark.parametrize("act", STRICT_ACTS, ids=[act.what for act in STRICT_ACTS])
def test_an_act_at_a_strict_service_is_told(strict_scene: Scene, act: Act) -> None:
    told(strict_scene, act)


def told(scene: Scene, act: Act) -> None:
    events = scene.of(act.do, len(act.told))
    assert differences(events, act.told) == []
    for event in events:
        jsonschema.validate(event, SCHEMA)


def test_a_new_certificate_of_the_listener_is_told(tmp_path: Path, start_module_service: StartService) -> None:
    authority = issue(tmp_path, "authority")
    pair = issue(tmp_path, "listener", authority)
    tls = {"TLS_CERT_FILE": str(pair.certificate_file), "TLS_KEY_FILE": str(pair.key_file)}
    scene = Scene(tmp_path, start_module_service, **tls)
    told(scene, Act("", lambda _: install(issue(tmp_path, "another", authority), pair), changed("the public listener")))
    scene.calls.close()


def test_every_kind_of_event_was_told_and_all_are_as_the_schema_says(scene: Scene, strict_scene: Scene) -> None:
    events = [*scene.events(), *strict_scene.events()]
    for event in events:
        jsonschema.validate(event, SCHEMA)
    assert {event["event"] for event in events} == {kind["title"] for kind in SCHEMA["oneOf"]}
    of_requests = [event for event in events if "operation" in event]
    assert {event["address"] for event in of_requests} == {"127.0.0.1"}
    assert {event["operation"] for event in of_requests} == {"issue", "refresh", "introspect", "revoke"}
    # The keys that the process made when it started.
    assert [event["actor"] for event in events if event["event"] == "key.rotated"].count("service") >= 2
    assert {event["actor"] for event in events if event["event"] == "admin.changed"} == {
        "service",
        "command",
        "operator",
    }
