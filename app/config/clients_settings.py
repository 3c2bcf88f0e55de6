"""Settings: where the clients are registered."""

from pathlib import Path
from typing import Annotated

import msgspec

from app.config.values import parse_path, parse_scope_token, setting
from app.model.secret_text import SecretText


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Clients"""

    client_credentials: Annotated[
        SecretText | None,
        setting(
            "Clients in short: each may use the client_credentials grant with all of `ALLOWED_SCOPES` and introspect "
            "its own tokens.",
            allowed="id:secret;id:secret",
        ),
    ] = None
    client_credentials_file: Annotated[
        Path | None, setting("", allowed="the path of a readable file", parse=parse_path)
    ] = None
    clients_file: Annotated[
        Path | None,
        setting(
            "Clients in full: a YAML file, or a folder of `.yaml` files. Read again whenever it changes.",
            allowed="the path of a readable file or folder",
            parse=parse_path,
        ),
    ] = None
    allowed_scopes: Annotated[
        tuple[str, ...],
        setting(
            "What the clients of `CLIENT_CREDENTIALS` may ask for.",
            allowed="scopes separated by commas or spaces",
            parse=parse_scope_token,
        ),
    ] = ()
