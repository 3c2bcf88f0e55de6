"""The secrets of a client in the clients file.

Each entry has one of ``hash``, ``file`` and ``env``, and may have ``not_after``. Secrets that are given in the clear
are kept as SHA-256 in memory: a slow hash would protect nothing that the file beside it does not give away.

Rules: nothing of an entry but its kind and its line ever gets into a message.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError

from app.config.secret_files import read_secret_file
from app.config.yaml_reader import Node, YamlReader
from app.model.clients import ClientSecret
from app.protocol.client_auth import sha256_secret

SHORTEST_SAFE: Final = 16
"""A secret of fewer characters is warned about: it can be guessed."""
_MAX_ARGON2_KIB: Final = 1024 * 1024
_MAX_ARGON2_ITERATIONS: Final = 100
_HASH_FORMS: Final = (
    "sha256:<base64url of the digest> or $argon2id$…, in quotes, as made by `auth-service clients hash`"
)


class SecretsReader:
    """Reads the ``secrets`` of all clients of one file."""

    def __init__(self, reader: YamlReader, folder: Path, environ: Mapping[str, str]) -> None:
        self._reader = reader
        self._folder = folder
        self._environ = environ
        self.files: list[Path] = []
        """The files that entries name, whether or not they could be read."""
        self.warnings: list[str] = []

    def secrets(self, node: Node, what: str) -> tuple[ClientSecret, ...]:
        items = self._reader.items(node, what) or ()
        read = [self._secret(item, f"{what}[{index}]") for index, item in enumerate(items)]
        return tuple(secret for secret in read if secret is not None)

    def _secret(self, node: Node, what: str) -> ClientSecret | None:
        reader = self._reader
        if node.tag != "map":
            # Probably the secret itself: it must not be repeated.
            reader.report(
                node, f"{what} is wrong", "a mapping with hash, file or env; a secret never stands here itself"
            )
            return None
        fields = reader.mapping(node, what, ("hash", "file", "env", "not_after"), repeat_keys=False)
        if fields is None:
            return None
        not_after = self._instant(fields["not_after"], f"{what}.not_after") if "not_after" in fields else None
        kinds = [kind for kind in ("hash", "file", "env") if kind in fields]
        if len(kinds) != 1:
            reader.report(node, f"{what} must have exactly one of hash, file and env")
            return None
        value = reader.text(fields[kinds[0]], f"{what}.{kinds[0]}")
        if value is None:
            return None
        if kinds[0] == "hash":
            return self._hashed(fields["hash"], value, f"{what}.hash", not_after)
        clear = self._from_file(fields, value, what) if kinds[0] == "file" else self._from_env(fields, value, what)
        if clear is None:
            return None
        if len(clear) < SHORTEST_SAFE:
            where = f"{reader.file}:{fields[kinds[0]].line}"
            self.warnings.append(f"{where}: the secret has fewer than {SHORTEST_SAFE} characters and can be guessed")
        return ClientSecret(sha256=sha256_secret(clear), not_after=not_after)

    def _hashed(self, node: Node, text: str, what: str, not_after: float | None) -> ClientSecret | None:
        if text.startswith("sha256:"):
            encoded = text.removeprefix("sha256:").rstrip("=")
            if re.fullmatch(r"[A-Za-z0-9_-]{43}", encoded):
                try:
                    return ClientSecret(sha256=base64.urlsafe_b64decode(encoded + "="), not_after=not_after)
                except binascii.Error:
                    pass
        elif text.startswith("$argon2id$"):
            try:
                cost = extract_parameters(text)
            except InvalidHashError:
                cost = None
            if cost is not None and cost.memory_cost <= _MAX_ARGON2_KIB and cost.time_cost <= _MAX_ARGON2_ITERATIONS:
                return ClientSecret(argon2id=text, not_after=not_after)
        self._reader.report(node, f"{what} is wrong", _HASH_FORMS)
        return None

    def _from_file(self, fields: dict[str, Node], name: str, what: str) -> str | None:
        if "\0" in name:
            self._reader.report(fields["file"], f"{what}.file contains a NUL")
            return None
        path = self._folder / name
        self.files.append(path)
        try:
            return read_secret_file(path)
        except OSError as error:
            problem = f"cannot be read ({os.strerror(error.errno or 0)})"
        except ValueError as error:
            problem = str(error)
        self._reader.report(fields["file"], f"{what}.file {problem}")
        return None

    def _from_env(self, fields: dict[str, Node], name: str, what: str) -> str | None:
        secret = self._environ.get(name, "").strip()
        if secret:
            return secret
        problem = f"the environment variable {name} is not set"
        # What does not look like a variable's name may be the secret itself.
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            problem = "names no environment variable"
        self._reader.report(fields["env"], f"{what}.env: {problem}")
        return None

    def _instant(self, node: Node, what: str) -> float | None:
        """Unix seconds of an RFC 3339 time, which must say its offset."""
        try:
            instant = datetime.fromisoformat(node.text)
            if node.tag in ("timestamp", "str") and instant.tzinfo is not None:
                return instant.timestamp()
        except (ValueError, OverflowError):
            pass
        self._reader.report(node, f"{what} is wrong", "a time with its offset, such as 2026-12-31T00:00:00Z")
        return None
