"""All clients together: from several places, replaced as a whole, reloaded when files change."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from app.config.clients import ClientChanges, ClientRegistry, ClientsSource
from app.config.clients_reloader import ClientsReloader
from app.config.load import load_settings
from app.config.problems import ConfigurationError
from app.model.clients import Client

NOW = 1_700_000_000.0
SECRET = "a-secret-of-some-length"


def entry(client_id: str, extra: str = "") -> str:
    return f"  - id: {client_id}\n    secrets: [{{env: SECRET}}]\n{extra}"


def document(*entries: str) -> str:
    return "version: 1\nclients:\n" + "".join(entries)


def source(**environ: str) -> ClientsSource:
    return ClientsSource(load_settings(environ).settings, {"SECRET": SECRET})


def ids(clients: tuple[Client, ...]) -> list[str]:
    return [client.id for client in clients]


def problems_of(wrong: ClientsSource) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        wrong.load(NOW)
    return [str(problem) for problem in caught.value.problems]


def test_a_registry_replaces_all_and_tells_the_difference() -> None:
    registry = ClientRegistry([Client(id="a"), Client(id="b"), Client(id="c")])
    find = registry.get
    changes = registry.replace([Client(id="b"), Client(id="c", scopes=("read",)), Client(id="d")])
    assert changes == ClientChanges(added=("d",), changed=("c",), removed=("a",))
    assert find("a") is None
    assert find("c") == Client(id="c", scopes=("read",))
    assert ids(registry.clients) == ["b", "c", "d"]
    assert not registry.replace(registry.clients)


def test_clients_come_from_the_environment_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(document(entry("b")))
    loaded = source(CLIENT_CREDENTIALS=f"a:{SECRET}", ALLOWED_SCOPES="x y", CLIENTS_FILE=str(path)).load(NOW)
    assert ids(loaded.clients) == ["a", "b"]
    assert loaded.clients[0].scopes == ("x", "y")


def test_the_files_of_a_folder_are_read_together(tmp_path: Path) -> None:
    for name, content in (
        ("b.yaml", document(entry("b"))),
        ("a.yml", document(entry("a"))),
        ("c.json", '{"version": 1, "clients": [{"id": "c", "secrets": [{"env": "SECRET"}]}]}'),
        ("README.md", "not a clients file"),
        (".hidden.yaml", "not a clients file"),
    ):
        (tmp_path / name).write_text(content)
    assert ids(source(CLIENTS_FILE=str(tmp_path)).load(NOW).clients) == ["a", "b", "c"]


def test_an_id_in_two_places_is_refused_with_both(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text(document(entry("a"), entry("b")))
    (tmp_path / "2.yaml").write_text(document(entry("b"), entry("c")))
    told = problems_of(source(CLIENTS_FILE=str(tmp_path), CLIENT_CREDENTIALS=f"c:{SECRET}"))
    assert told == [
        f"{tmp_path}/2.yaml:3: client 'b' is given already at {tmp_path}/1.yaml:5",
        f"{tmp_path}/2.yaml:5: client 'c' is given already at CLIENT_CREDENTIALS",
    ]


def test_the_mistakes_of_all_places_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text(document("  - id: 1\n"))
    (tmp_path / "2.yaml").write_text(document(entry("b", "    scopes: x\n")))
    told = problems_of(source(CLIENTS_FILE=str(tmp_path), CLIENT_CREDENTIALS="wrong"))
    assert [one.partition(": ")[0] for one in told] == [
        "CLIENT_CREDENTIALS",
        f"{tmp_path}/1.yaml:3",
        f"{tmp_path}/2.yaml:5",
    ]


def test_a_folder_without_a_clients_file_is_refused(tmp_path: Path) -> None:
    assert "holds no clients file" in problems_of(source(CLIENTS_FILE=str(tmp_path)))[0]


def test_jwts_may_not_outlive_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    long_life = "    access_token: {format: %s, seconds: 86400}\n"
    path.write_text(document(entry("opaque", long_life % "opaque"), entry("jwt", long_life % "jwt")))
    told = problems_of(source(CLIENTS_FILE=str(path), JWKS_RETAIN_SECONDS="3600"))
    assert len(told) == 1
    assert "client 'jwt'" in told[0]
    assert "JWKS_RETAIN_SECONDS=3600" in told[0]
    assert len(source(CLIENTS_FILE=str(path), JWKS_RETAIN_SECONDS="86400").load(NOW).clients) == 2


@pytest.mark.parametrize(
    ("algorithms", "settings", "refused"),
    [
        ("ES256,RS256", "", False),
        ("ES256,RS256", "    id_token_signed_response_alg: ES256\n", False),
        ("ES256,RS256", "    id_token_signed_response_alg: PS256\n", True),
        ("ES256", "", False),
        ("ES256", "    scopes: [openid]\n", True),
        ("ES256", "    scopes: [openid]\n    id_token_signed_response_alg: ES256\n", False),
    ],
)
def test_id_tokens_are_signed_with_an_algorithm_of_which_there_are_keys(
    algorithms: str, settings: str, refused: bool, tmp_path: Path
) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(document(entry("relying", settings)))
    clients = source(CLIENTS_FILE=str(path), KEYS_ALGORITHMS=algorithms)
    if not refused:
        assert len(clients.load(NOW).clients) == 1
        return
    [told] = problems_of(clients)
    assert "client 'relying'" in told
    assert f"KEYS_ALGORITHMS={algorithms}" in told


def test_a_client_whose_secrets_all_expired_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(
        "version: 1\nclients:\n  - id: a\n    secrets: [{env: SECRET, not_after: 2020-01-01T00:00:00Z}]\n" + entry("b")
    )
    assert source(CLIENTS_FILE=str(path)).load(NOW).warnings == (f"{path}:3: all secrets of client 'a' have expired",)


class AnnouncingRegistry(ClientRegistry):
    """A registry that tells when it was replaced."""

    def __init__(self) -> None:
        self.replaced = asyncio.Event()
        super().__init__()

    def replace(self, clients: Iterable[Client]) -> ClientChanges:
        changes = super().replace(clients)
        self.replaced.set()
        return changes


class Reloading:
    """A reloader at work on one file, with what it did."""

    def __init__(self, path: Path) -> None:
        self.failures = 0
        self.failed = asyncio.Event()
        self.registry = AnnouncingRegistry()
        environ = {"CLIENTS_FILE": str(path)}
        self.reloader = ClientsReloader(
            ClientsSource(load_settings(environ).settings, {"SECRET": SECRET}),
            self.registry,
            unix_now=lambda: NOW,
            on_failure=self._on_failure,
            interval_seconds=0.01,
        )

    def _on_failure(self) -> None:
        self.failures += 1
        self.failed.set()

    async def until_client(self, reached: Callable[[], bool]) -> None:
        """Wait until the clients are as they should be."""
        async with asyncio.timeout(10):
            while not reached():
                self.registry.replaced.clear()
                await self.registry.replaced.wait()

    async def until_failure(self) -> None:
        async with asyncio.timeout(10):
            await self.failed.wait()


def test_a_changed_file_changes_the_clients(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(document(entry("a"), entry("b")))

    async def scenario() -> None:
        reloading = Reloading(path)
        reloading.reloader.load()
        assert ids(reloading.registry.clients) == ["a", "b"]
        await reloading.reloader.start()
        path.write_text(document(entry("b", "    scopes: [read]\n"), entry("c")))
        await reloading.until_client(lambda: reloading.registry.get("c") is not None)
        await reloading.reloader.stop()
        assert ids(reloading.registry.clients) == ["b", "c"]
        assert reloading.failures == 0

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert caplog.messages == ["clients reloaded: added c, changed b, removed a"]


def test_a_bad_file_keeps_the_clients_and_is_told_line_by_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(document(entry("a")))

    async def scenario() -> None:
        reloading = Reloading(path)
        reloading.reloader.load()
        await reloading.reloader.start()
        path.write_text(document("  - id: 5\n", entry("b", "    scopes: x\n")))
        await reloading.until_failure()
        assert ids(reloading.registry.clients) == ["a"]
        path.write_text(document(entry("b")))
        await reloading.until_client(lambda: reloading.registry.get("b") is not None)
        await reloading.reloader.stop()
        assert reloading.failures == 1

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"clients not reloaded: {path}:3: clients[0]: id must be text: put it in quotes",
        f"clients not reloaded: {path}:6: client 'b': scopes must be a list",
    ]


def test_a_kubelet_swap_changes_the_clients(tmp_path: Path) -> None:
    def publish(version: str, content: str) -> None:
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "clients.yaml").write_text(content)
        (tmp_path / "..data_tmp").symlink_to(f"..{version}")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish("1", document(entry("a")))
    (tmp_path / "clients.yaml").symlink_to("..data/clients.yaml")

    async def scenario() -> None:
        reloading = Reloading(tmp_path)
        reloading.reloader.load()
        await reloading.reloader.start()
        publish("2", document(entry("b")))
        await reloading.until_client(lambda: reloading.registry.get("b") is not None)
        await reloading.reloader.stop()
        assert reloading.failures == 0

    asyncio.run(scenario())


def test_a_changed_secret_file_changes_its_client(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text("version: 1\nclients:\n  - id: a\n    secrets: [{file: secret}]\n")
    (tmp_path / "secret").write_text("the-first-secret")

    async def scenario() -> None:
        reloading = Reloading(path)
        before = reloading.reloader.load().clients[0]
        await reloading.reloader.start()
        (tmp_path / "secret").unlink()
        await reloading.until_failure()
        assert reloading.registry.get("a") == before
        (tmp_path / "secret").write_text("the-second-secret")
        await reloading.until_client(lambda: reloading.registry.get("a") != before)
        await reloading.reloader.stop()

    asyncio.run(scenario())


def test_what_is_still_so_is_warned_about_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text("version: 1\nclients:\n  - id: a\n    secrets: [{file: secret}]\n")
    (tmp_path / "secret").write_text("short")

    async def scenario() -> None:
        reloading = Reloading(path)
        reloading.reloader.load()
        assert await reloading.reloader.reload() == ClientChanges((), (), ())

    asyncio.run(scenario())
    assert len(caplog.messages) == 1


def test_a_first_load_that_fails_leaves_the_registry_alone(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text("nothing")
    reloading = Reloading(path)
    with pytest.raises(ConfigurationError):
        reloading.reloader.load()
    assert reloading.registry.clients == ()


def test_client_credentials_from_a_file_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"a:{SECRET}")
    reread = source(CLIENT_CREDENTIALS_FILE=str(path))
    assert ids(reread.load(NOW).clients) == ["a"]
    path.write_text(f"b:{SECRET}")
    assert ids(reread.load(NOW).clients) == ["b"]
    assert reread.files == (path,)
    path.unlink()
    assert "CLIENT_CREDENTIALS_FILE: cannot be used" in problems_of(reread)[0]
