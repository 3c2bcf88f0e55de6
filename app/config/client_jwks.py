"""The public keys of a client in the clients file (``jwks``, RFC 7591 section 2; RFC 7517).

Rules: public keys only, each fit for at least one algorithm that client assertions may use. A key that would fail
when a client first authenticates fails here.
"""

from typing import Any, Final

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from app.config.yaml_reader import Node, YamlReader
from app.protocol.client_assertion import key_algorithms

_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
"""RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1."""
_PUBLIC: Final = ("kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e", "x5c", "x5t", "x5t#S256", "x5u")
_MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""
_KINDS: Final = "RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or OKP on Ed25519"


def read_jwks(reader: YamlReader, node: Node, what: str) -> tuple[dict[str, Any], ...]:
    """The keys of a JWK set."""
    fields = reader.mapping(node, what, ("keys",))
    if fields is None or "keys" not in fields:
        reader.report(node, f"{what} must have keys")
        return ()
    keys = []
    kids: set[str] = set()
    for index, item in enumerate(reader.items(fields["keys"], f"{what}.keys") or ()):
        jwk = _read_key(reader, item, f"{what}.keys[{index}]")
        if jwk is None:
            continue
        kid = jwk.get("kid")
        if kid in kids:
            reader.report(item, f"{what} has two keys with one kid")
        elif kid is not None:
            kids.add(kid)
        keys.append(jwk)
    if len(keys) > 1 and any("kid" not in key for key in keys):
        reader.report(node, f"{what} has several keys: each needs a kid")
    return tuple(keys)


def _read_key(reader: YamlReader, node: Node, what: str) -> dict[str, Any] | None:
    if node.tag == "map" and any(key.text in _PRIVATE for key in node.items[::2]):
        reader.report(node, f"{what} is private or symmetric: remove it here, treat it as leaked, make a new one")
        return None
    fields = reader.mapping(node, what, _PUBLIC)
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
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        reader.report(node, f"{what} is not for signatures", "use: sig, key_ops: [verify], or neither")
        return None
    algorithms = key_algorithms(jwk)
    if not algorithms or (jwk.get("kty") == "OKP" and jwk.get("crv") != "Ed25519"):
        reader.report(node, f"{what} has a kty, crv or alg that does not fit", _KINDS)
        return None
    try:
        key = PyJWK({**jwk, "alg": algorithms[0]}).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        reader.report(node, f"{what} is not a valid key", _KINDS)
        return None
    if jwk["kty"] == "RSA" and key.key_size < _MIN_RSA_BITS:
        reader.report(node, f"{what} is too short", _KINDS)
        return None
    return jwk
