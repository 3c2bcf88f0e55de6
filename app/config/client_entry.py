"""One client of the clients file: from a YAML mapping to a client.

Rules: unknown keys, keys given twice, and settings without effect are mistakes, not ignored.
"""

import re
from enum import StrEnum
from typing import Any, Final

import msgspec

from app.config.client_jwks import read_jwks
from app.config.client_rules import check_client
from app.config.client_secrets import SecretsReader
from app.config.keys import SigningAlgorithm
from app.config.yaml_reader import Node, YamlReader
from app.model.clients import AccessTokenFormat, Client, ClientAuthMethod, IntrospectionPolicy
from app.outgoing.fetching import why_no_target
from app.protocol.scopes import SCOPE_TOKEN

MAX_CLIENT_TOKEN_SECONDS: Final = 86_400
MAX_REFRESH_TOKEN_SECONDS: Final = 366 * 86_400
CLIENT_ID: Final = re.compile(r"[\x21-\x7E]([\x20-\x7E]{0,198}[\x21-\x7E])?")
"""``client-id`` of RFC 6749 appendix A.1, bounded, without spaces at its ends."""
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x24-\x3B\x3D\x3F-\x5B\x5D\x5F\x61-\x7A\x7E]+")
"""RFC 3986 section 4.3, without a fragment (RFC 8707 section 2)."""
_FIELDS: Final = (
    "id",
    "auth_method",
    "secrets",
    "jwks",
    "jwks_uri",
    "grants",
    "scopes",
    "default_scopes",
    "audiences",
    "introspect",
    "access_token",
    "refresh_token",
    "id_token_signed_response_alg",
    "redirect_uris",
    "rate_limit_per_minute",
)


class Grant(StrEnum):
    """The grants that a client may be given."""

    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"


class ClientDefaults(msgspec.Struct, frozen=True):
    """What a client has where the file does not say."""

    access_token_seconds: int = 3600
    refresh_token_seconds: int = 86_400


class ClientReader:
    """Reads one client."""

    def __init__(self, reader: YamlReader, secrets: SecretsReader, defaults: ClientDefaults, name: str) -> None:
        self._reader = reader
        self._secrets = secrets
        self._defaults = defaults
        self._name = name
        self._fields: dict[str, Node] = {}

    def client(self, node: Node) -> Client | None:
        """The client, or None after everything that is wrong with it was reported."""
        reader = self._reader
        known_problems = len(reader.problems)
        fields = reader.mapping(node, self._name, _FIELDS)
        if fields is None:
            return None
        self._fields = fields
        client_id = self._id(node)
        if client_id is not None:
            self._name = f"client {client_id!r}"
        read: dict[str, Any] = {
            "auth_method": self._choice("auth_method", ClientAuthMethod),
            "introspect": self._choice("introspect", IntrospectionPolicy),
            "id_token_signed_response_alg": self._choice("id_token_signed_response_alg", SigningAlgorithm),
            "grants": self._grants(),
            "scopes": self._scopes("scopes"),
            "default_scopes": self._scopes("default_scopes"),
            "audiences": self._uris("audiences"),
            "redirect_uris": self._uris("redirect_uris"),
            "rate_limit_per_minute": self._rate_limit(),
        }
        values: dict[str, Any] = {
            "access_token_seconds": self._defaults.access_token_seconds,
            "refresh_token_seconds": self._defaults.refresh_token_seconds,
            **{field: value for field, value in read.items() if value is not None},
            **self._access_token(),
            **self._refresh_token(),
        }
        if "secrets" in fields:
            values["secrets"] = self._secrets.secrets(fields["secrets"], self._of("secrets"))
        if "jwks" in fields:
            values["jwks"] = read_jwks(reader, fields["jwks"], self._of("jwks"))
        if "jwks_uri" in fields:
            values["jwks_uri"] = self._jwks_uri(fields["jwks_uri"])
        if len(reader.problems) > known_problems or client_id is None:
            return None
        client = Client(id=client_id, **values)
        for field, what in check_client(client, fields.keys()):
            reader.report(fields.get(field, node), f"{self._name}: {what}")
        return client if len(reader.problems) == known_problems else None

    def _of(self, field: str) -> str:
        return f"{self._name}: {field}"

    def _id(self, node: Node) -> str | None:
        if "id" not in self._fields:
            self._reader.report(node, f"{self._name} has no id")
            return None
        client_id = self._reader.text(self._fields["id"], f"{self._name}: id")
        if client_id is None or CLIENT_ID.fullmatch(client_id):
            return client_id
        allowed = "1 to 200 printable ASCII characters, no space at either end (RFC 6749 appendix A.1)"
        self._reader.report(self._fields["id"], f"{self._name}: id is wrong", allowed)
        return None

    def _choice(self, field: str, choices: type[StrEnum]) -> StrEnum | None:
        return self._reader.choice(self._fields[field], self._of(field), choices) if field in self._fields else None

    def _grants(self) -> frozenset[str] | None:
        if "grants" not in self._fields:
            return None
        items = self._reader.texts(self._fields["grants"], self._of("grants"))
        grants = [self._reader.choice(item, self._of("grants"), Grant) for item, _ in items]
        return frozenset(grant.value for grant in grants if grant is not None)

    def _scopes(self, field: str) -> tuple[str, ...] | None:
        return self._list(field, SCOPE_TOKEN, "scopes of printable ASCII without spaces (RFC 6749 section 3.3)")

    def _uris(self, field: str) -> tuple[str, ...] | None:
        return self._list(field, _ABSOLUTE_URI, "absolute URIs without a fragment, such as https://api.example.com")

    def _list(self, field: str, form: re.Pattern[str], allowed: str) -> tuple[str, ...] | None:
        if field not in self._fields:
            return None
        items = self._reader.texts(self._fields[field], self._of(field))
        for item, text in items:
            if not form.fullmatch(text):
                self._reader.report(item, f"{self._of(field)} has an item that is wrong", allowed)
        return tuple(text for _, text in items)

    def _jwks_uri(self, node: Node) -> str | None:
        uri = self._reader.text(node, self._of("jwks_uri"))
        wrong = None if uri is None else why_no_target(uri)
        if wrong is not None:
            self._reader.report(node, f"{self._of('jwks_uri')} {wrong}", "such as https://app.example.com/jwks.json")
        return uri

    def _rate_limit(self) -> int | None:
        if "rate_limit_per_minute" not in self._fields:
            return None
        node = self._fields["rate_limit_per_minute"]
        if node.text == "unlimited":
            return 0
        if node.tag == "int" and re.fullmatch(r"[1-9][0-9]{0,8}", node.text):
            return int(node.text)
        self._reader.report(node, f"{self._of('rate_limit_per_minute')} is wrong", "unlimited, or a number from 1")
        return None

    def _access_token(self) -> dict[str, Any]:
        fields = self._nested("access_token", ("format", "seconds"))
        what = self._of("access_token")
        values: dict[str, Any] = {}
        if "format" in fields:
            values["access_token_format"] = self._reader.choice(fields["format"], f"{what}.format", AccessTokenFormat)
        if "seconds" in fields:
            values["access_token_seconds"] = self._reader.whole_number(
                fields["seconds"], f"{what}.seconds", 1, MAX_CLIENT_TOKEN_SECONDS
            )
        return values

    def _refresh_token(self) -> dict[str, Any]:
        fields = self._nested("refresh_token", ("enabled", "seconds"))
        what = self._of("refresh_token")
        values: dict[str, Any] = {}
        if "enabled" in fields:
            values["refresh_token_enabled"] = self._reader.truth(fields["enabled"], f"{what}.enabled")
        if "seconds" in fields:
            values["refresh_token_seconds"] = self._reader.whole_number(
                fields["seconds"], f"{what}.seconds", 1, MAX_REFRESH_TOKEN_SECONDS
            )
        return values

    def _nested(self, field: str, known: tuple[str, ...]) -> dict[str, Node]:
        if field not in self._fields:
            return {}
        return self._reader.mapping(self._fields[field], self._of(field), known) or {}
