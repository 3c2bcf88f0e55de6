"""Clients are loaded again when their files change, while the service runs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.programs.service_calls import ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import (
    BASIC,
    CANARY,
    OTHER,
    RegisteredClient,
    sha256_hash,
    with_secret,
    write_clients,
)
from tests.programs.service_fixtures import FAST_PATHS, StartService
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]


@pytest.fixture(scope="module")
def fast_path() -> str:
    """One mode will do: what is loaded does not depend on what carries the requests."""
    return FAST_PATHS[0]


def may_enter(service: ServiceCalls, client: RegisteredClient) -> bool:
    return service.request_token(client).status_code == 200


def put(file: Path, *clients: RegisteredClient) -> None:
    """Replace the file as an editor or a deployment does: at once."""
    draft = write_clients(file.with_name("draft"), clients)
    draft.replace(file)


def reload_failures(service: ServiceCalls) -> float:
    return service.metric("config_reload_failures_total", source="clients")


def has_failed(service: ServiceCalls, times: int) -> bool:
    return reload_failures(service) >= times


def test_new_clients_come_in_and_removed_ones_are_out(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(clients=(BASIC,)))
    assert may_enter(service, BASIC)
    assert not may_enter(service, OTHER)
    token = service.access_token(BASIC)
    put(service.process.folder / "clients.yaml", OTHER)
    wait_until(lambda: may_enter(service, OTHER), "the new client")
    assert not may_enter(service, BASIC)
    assert_refused(service.request_introspection(BASIC, token), 401, "invalid_client")
    assert reload_failures(service) == 0


def test_a_changed_client_is_the_changed_one_at_once(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(clients=(BASIC,)))
    changed = BASIC._replace(entry={**BASIC.entry, "scopes": ["new"], "default_scopes": ["new"]})
    put(service.process.folder / "clients.yaml", changed)
    wait_until(lambda: service.token(BASIC)["scope"] == "new", "the new scope")
    metadata = good_json(service.http.get("/.well-known/oauth-authorization-server"))
    assert metadata["scopes_supported"] == ["new"]


def test_a_bad_file_keeps_the_old_clients_and_names_every_error(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(clients=(BASIC,)))
    file = service.process.folder / "clients.yaml"
    file.write_text(
        "version: 1\n"
        "clients:\n"
        "  - id: basic\n"
        "    auth_metod: client_secret_basic\n"
        f"    secrets: [{{hash: '{sha256_hash('x')}'}}]\n"
        "  - id: second\n"
        "    introspect: everything\n"
        f"    secrets: [{{hash: {CANARY}}}]\n"
    )
    wait_until(lambda: reload_failures(service) > 0, "the failure to be counted")
    log = service.process.logs
    for line, word in [(4, "auth_metod"), (7, "introspect"), (8, "hash")]:
        assert any(f"clients.yaml:{line}" in entry and word in entry for entry in log.splitlines()), (line, log)
    assert may_enter(service, BASIC)
    put(file, BASIC, OTHER)
    wait_until(lambda: may_enter(service, OTHER), "the repaired file")


BROKEN = [b"\xff\xfe\x00", b"a: &a [x]\nb: &b [*a, *a]\nclients: *b"]


def test_nothing_that_can_be_in_the_file_ends_the_service(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(clients=(BASIC,)))
    file = service.process.folder / "clients.yaml"
    for number, content in enumerate(BROKEN, start=1):
        file.write_bytes(content)
        wait_until(partial(has_failed, service, number), "the failure to be counted")
        assert may_enter(service, BASIC)


def test_a_removed_file_keeps_the_old_clients(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(clients=(BASIC,)))
    file = service.process.folder / "clients.yaml"
    file.unlink()
    wait_until(lambda: reload_failures(service) > 0, "the failure to be counted")
    assert may_enter(service, BASIC)
    put(file, OTHER)
    wait_until(lambda: may_enter(service, OTHER), "the new file")


def test_the_symlink_swap_of_kubelet_is_seen(start_service: StartService, calls_of: CallsOf, tmp_path: Path) -> None:
    """A mounted ConfigMap or Secret: files link into ``..data``, which links to a folder that is swapped as a whole."""
    mount = tmp_path / "mount"
    for folder, client in [("..2026_01", BASIC), ("..2026_02", OTHER)]:
        (mount / folder).mkdir(parents=True)
        write_clients(mount / folder / "clients.yaml", (client,))
    (mount / "..data").symlink_to("..2026_01")
    (mount / "clients.yaml").symlink_to("..data/clients.yaml")
    service = calls_of(start_service(CLIENTS_FILE=str(mount / "clients.yaml")))
    assert may_enter(service, BASIC)
    (mount / "..data_tmp").symlink_to("..2026_02")
    (mount / "..data_tmp").rename(mount / "..data")
    wait_until(lambda: may_enter(service, OTHER), "the swapped file")
    assert not may_enter(service, BASIC)


def test_a_mounted_folder_of_files_is_one_set(start_service: StartService, calls_of: CallsOf, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    for folder, clients in [("..1", (BASIC,)), ("..2", (BASIC, OTHER))]:
        (mount / folder).mkdir(parents=True)
        for client in clients:
            write_clients(mount / folder / f"{client.id}.yaml", (client,))
    (mount / "..data").symlink_to("..1")
    (mount / "basic.yaml").symlink_to("..data/basic.yaml")
    service = calls_of(start_service(CLIENTS_FILE=str(mount)))
    assert may_enter(service, BASIC)
    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").rename(mount / "..data")
    (mount / "other.yaml").symlink_to("..data/other.yaml")
    wait_until(lambda: may_enter(service, OTHER), "the second file")
    assert may_enter(service, BASIC)


def test_the_same_client_in_two_files_is_refused(
    start_service: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    write_clients(tmp_path / "a.yaml", (BASIC,))
    service = calls_of(start_service(CLIENTS_FILE=str(tmp_path)))
    write_clients(tmp_path / "b.yaml", (BASIC, OTHER))
    wait_until(lambda: reload_failures(service) > 0, "the failure to be counted")
    assert may_enter(service, BASIC)
    assert not may_enter(service, OTHER)
    assert "a.yaml" in service.process.logs
    assert "b.yaml" in service.process.logs


def test_a_secret_in_a_file_of_its_own_is_read_again(
    start_service: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    old, new = with_secret("filed", secret=f"{CANARY}-old" * 4), with_secret("filed", secret=f"{CANARY}-new" * 4)
    file = tmp_path / "secret"
    file.write_text(old.secret + "\n")
    entry = {"id": "filed", "secrets": [{"file": str(file)}], "scopes": ["read"]}
    service = calls_of(start_service(clients=(old._replace(entry=entry),)))
    assert may_enter(service, old)
    file.write_text(new.secret + "\n")
    wait_until(lambda: may_enter(service, new), "the new secret")
    assert not may_enter(service, old)


def test_a_secret_changes_without_a_failed_request(start_service: StartService, calls_of: CallsOf) -> None:
    """The old secret, both, the new one: requests in between are always answered."""
    old, new = with_secret("rolling", secret=f"{CANARY}-old" * 4), with_secret("rolling", secret=f"{CANARY}-new" * 4)
    both = old._replace(entry={**old.entry, "secrets": [*old.entry["secrets"], *new.entry["secrets"]]})
    service = calls_of(start_service(clients=(old,)))
    file = service.process.folder / "clients.yaml"
    put(file, both)

    def new_is_known() -> bool:
        assert may_enter(service, old)
        return may_enter(service, new)

    wait_until(new_is_known, "the second secret")
    put(file, new)

    def old_is_gone() -> bool:
        assert may_enter(service, new)
        return not may_enter(service, old)

    wait_until(old_is_gone, "the first secret to go")


def test_clients_in_short_come_from_the_environment(start_service: StartService, calls_of: CallsOf) -> None:
    one, two = with_secret("short-one"), with_secret("short-two")
    settings = {
        "CLIENT_CREDENTIALS": f"{one.id}:{one.secret};{two.id}:{two.secret}",
        "ALLOWED_SCOPES": "read, write",
        "TOKEN_EXPIRY_SECONDS": "120",
    }
    service = calls_of(start_service(clients=None, **settings))
    for client in (one, two):
        answer = service.token(client)
        assert (answer["scope"], answer["expires_in"]) == ("read write", 120)
        assert "refresh_token" not in answer
        assert service.is_active(client, answer["access_token"])
        assert not service.is_active(one if client is two else two, answer["access_token"])


def test_both_sources_of_clients_are_one_set(start_service: StartService, calls_of: CallsOf) -> None:
    short = with_secret("short")
    settings = {"CLIENT_CREDENTIALS": f"{short.id}:{short.secret}", "ALLOWED_SCOPES": "read"}
    service = calls_of(start_service(clients=(BASIC,), **settings))
    assert may_enter(service, BASIC)
    assert may_enter(service, short)
    put(service.process.folder / "clients.yaml", OTHER)
    wait_until(lambda: may_enter(service, OTHER), "the new file")
    assert may_enter(service, short)
