"""``CLIENT_CREDENTIALS``: clients in short, ``id:secret;id:secret``.

Rules: an entry is never repeated in a message, not even its id: without its colon an entry may be all secret.
"""

from typing import Final

from app.config.client_entry import CLIENT_ID, ClientDefaults
from app.config.client_secrets import SHORTEST_SAFE
from app.config.problems import Problem
from app.model.clients import Client, ClientSecret
from app.model.secret_text import SecretText
from app.protocol.client_auth import sha256_secret

_NAME: Final = "CLIENT_CREDENTIALS"


def parse_client_credentials(
    text: SecretText, scopes: tuple[str, ...], defaults: ClientDefaults
) -> tuple[list[Client], list[Problem], list[str]]:
    """The clients of ``CLIENT_CREDENTIALS``, what is wrong with it, and warnings.

    Each may use the client_credentials grant with all ``scopes``, authenticates with ``client_secret_basic`` and may
    introspect its own tokens.
    """
    clients: dict[str, Client] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    entries = [entry.strip() for entry in text.reveal().split(";")]
    for number, entry in enumerate(entries, start=1):
        client_id, colon, secret = (part.strip() for part in entry.partition(":"))
        if not entry:
            continue
        if not colon or not secret or not CLIENT_ID.fullmatch(client_id):
            problems.append(Problem(_NAME, f"entry {number} is wrong", None, "id:secret;id:secret"))
        elif client_id in clients:
            problems.append(
                Problem(_NAME, f"entry {number} has the id of another (CLIENTS_FILE can give a client two secrets)")
            )
        else:
            if len(secret) < SHORTEST_SAFE:
                short = f"has fewer than {SHORTEST_SAFE} characters and can be guessed"
                warnings.append(f"{_NAME}: the secret of entry {number} {short}")
            clients[client_id] = Client(
                id=client_id,
                secrets=(ClientSecret(sha256=sha256_secret(secret)),),
                scopes=scopes,
                access_token_seconds=defaults.access_token_seconds,
                refresh_token_seconds=defaults.refresh_token_seconds,
            )
    if not clients and not problems:
        problems.append(Problem(_NAME, "names no client", None, "id:secret;id:secret"))
    return list(clients.values()), problems, warnings
