"""The public keys of a client in the clients file (``jwks``, RFC 7591 section 2; RFC 7517).

Rules: public keys only, each fit for at least one algorithm that client assertions may use. A key that would fail
when a client first authenticates fails here.
"""

from typing import Any

from app.config.yaml_reader import Node, YamlReader
from app.model.clients import ClientKey
from app.protocol.client_jwks import KINDS, MAX_KEYS, PRIVATE, PUBLIC, UnusableKeyError, client_key


def read_jwks(reader: YamlReader, node: Node, what: str) -> tuple[ClientKey, ...]:
    """The keys of a JWK set."""
    fields = reader.mapping(node, what, ("keys",))
    if fields is None or "keys" not in fields:
        reader.report(node, f"{what} must have keys")
        return ()
    keys = []
    items = reader.items(fields["keys"], f"{what}.keys") or ()
    if len(items) > MAX_KEYS:
        reader.report(node, f"{what} has more than {MAX_KEYS} keys")
        return ()
    kids: set[str] = set()
    for index, item in enumerate(items):
        key = _read_key(reader, item, f"{what}.keys[{index}]")
        if key is None:
            continue
        kid = key.kid
        if kid in kids:
            reader.report(item, f"{what} has two keys with one kid")
        elif kid is not None:
            kids.add(kid)
        keys.append(key)
    if len(keys) > 1 and any(key.kid is None for key in keys):
        reader.report(node, f"{what} has several keys: each needs a kid")
    return tuple(keys)


def _read_key(reader: YamlReader, node: Node, what: str) -> ClientKey | None:
    if node.tag == "map" and any(key.text in PRIVATE for key in node.items[::2]):
        reader.report(node, f"{what} is private or symmetric: remove it here, treat it as leaked, make a new one")
        return None
    fields = reader.mapping(node, what, PUBLIC)
    if fields is None:
        return None
    jwk: dict[str, Any] = {}
    for name, value in fields.items():
        if name in ("key_ops", "x5c"):
            jwk[name] = [text for _, text in reader.texts(value, f"{what}.{name}")]
        elif (text := reader.text(value, f"{what}.{name}")) is not None:
            jwk[name] = text
        else:
            return None
    try:
        return client_key(jwk)
    except UnusableKeyError as error:
        reader.report(node, f"{what} {error}", KINDS)
        return None
