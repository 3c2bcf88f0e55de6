"""All registered clients, from wherever they are configured.

Rules:
- One id is one client: the same id in two places is a mistake, named with both places.
- The registry is replaced as a whole: a request sees the old clients or the new ones, never a mixture.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from app.config.checks import check_clients
from app.config.client_credentials import parse_client_credentials
from app.config.client_entry import ClientDefaults
from app.config.clients_file import SUFFIXES, read_clients_file
from app.config.problems import ConfigurationError, Problem
from app.config.secret_files import read_secret_file
from app.config.settings import Settings
from app.model.clients import PROBE_ID, Client
from app.model.secret_text import SecretText


class ClientChanges(msgspec.Struct, frozen=True):
    """How one set of clients differs from the one before, as sorted ids."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class ClientRegistry:
    """The clients by their id."""

    def __init__(self, clients: Iterable[Client] = (), own: Client | None = None) -> None:
        """``own``: a client of the service itself, which is found by its id, whatever is configured, and not listed."""
        self._own = {} if own is None else {own.id: own}
        self._by_id: Mapping[str, Client] = MappingProxyType({})
        self._clients: tuple[Client, ...] = ()
        self.replace(clients)

    def get(self, client_id: str) -> Client | None:
        return self._by_id.get(client_id)

    @property
    def clients(self) -> tuple[Client, ...]:
        """All of them; the same tuple until they are replaced."""
        return self._clients

    def replace(self, clients: Iterable[Client]) -> ClientChanges:
        """Put other clients in the place of all, and tell the difference."""
        before = {client.id: client for client in self._clients}
        after = {client.id: client for client in clients}
        self._by_id = after | self._own
        self._clients = tuple(after.values())
        return ClientChanges(
            added=tuple(sorted(after.keys() - before.keys())),
            changed=tuple(sorted(key for key in after.keys() & before.keys() if after[key] != before[key])),
            removed=tuple(sorted(before.keys() - after.keys())),
        )


class LoadedClients(msgspec.Struct, frozen=True):
    """Clients that may be used."""

    clients: tuple[Client, ...]
    warnings: tuple[str, ...]


class ClientsSource:
    """Reads the clients that settings name, as often as asked."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._secret_files: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """What the last load depended on, whether or not it succeeded; empty where clients cannot change."""
        configured = (self._settings.clients.clients_file, self._settings.clients.client_credentials_file)
        return (*(path for path in configured if path is not None), *self._secret_files)

    def load(self, now: float) -> LoadedClients:
        """Read all clients. ``now`` is Unix seconds.

        Raises:
            ConfigurationError: with every mistake of every file.
        """
        settings = self._settings.clients
        defaults = ClientDefaults(
            access_token_seconds=self._settings.tokens.token_expiry_seconds,
            refresh_token_seconds=self._settings.tokens.refresh_token_expiry_seconds,
        )
        placed: list[tuple[str, Client]] = []
        problems: list[Problem] = []
        warnings: list[str] = []
        secret_files: list[Path] = []
        if settings.client_credentials is not None:
            try:
                text = self._client_credentials(settings.client_credentials)
                short, found, told = parse_client_credentials(text, settings.allowed_scopes, defaults)
                placed += [("CLIENT_CREDENTIALS", client) for client in short]
                problems += found
                warnings += told
            except (OSError, ValueError) as error:
                problems.append(Problem("CLIENT_CREDENTIALS_FILE", f"cannot be used: {error}"))
        if settings.clients_file is not None:
            files, found = clients_files(settings.clients_file)
            problems += found
            for file in files:
                content = read_clients_file(file, defaults, self._environ)
                placed += content.clients
                secret_files += content.secret_files
                problems += content.problems
                warnings += content.warnings
        self._secret_files = tuple(dict.fromkeys(secret_files))
        problems += _given_twice(placed)
        problems += [
            Problem(place, f"client id {client.id!r} is the synthetic probe's own")
            for place, client in placed
            if client.id == PROBE_ID
        ]
        clients = tuple(client for _, client in placed)
        problems += check_clients(self._settings, clients)
        if problems:
            raise ConfigurationError(problems)
        return LoadedClients(clients, (*warnings, *_warn_about(placed, now)))

    def _client_credentials(self, at_start: SecretText) -> SecretText:
        path = self._settings.clients.client_credentials_file
        return at_start if path is None else SecretText(read_secret_file(path))


def clients_files(path: Path) -> tuple[list[Path], list[Problem]]:
    """The files that ``CLIENTS_FILE`` stands for: itself, or the folder's, in the order of their names."""
    if not path.is_dir():
        return [path], []
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        return [], [Problem(str(path), f"cannot be read ({error.strerror})")]
    files = [entry for entry in entries if entry.suffix in SUFFIXES and not entry.name.startswith(".")]
    if not files:
        # A wrong or missing mount must not end every client.
        return [], [Problem(str(path), f"holds no clients file (none ends in {', '.join(SUFFIXES)})")]
    return files, []


def _given_twice(placed: Iterable[tuple[str, Client]]) -> list[Problem]:
    first: dict[str, str] = {}
    problems = []
    for place, client in placed:
        if client.id in first:
            problems.append(Problem(place, f"client {client.id!r} is given already at {first[client.id]}"))
        else:
            first[client.id] = place
    return problems


def _warn_about(placed: Iterable[tuple[str, Client]], now: float) -> list[str]:
    return [
        f"{place}: all secrets of client {client.id!r} have expired"
        for place, client in placed
        if client.secrets and not client.live_secrets(now)
    ]
