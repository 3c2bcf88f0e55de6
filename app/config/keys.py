"""Settings: signing keys, where they are kept and how they rotate."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec

from app.config.values import parse_keys_source, parse_path, setting

_DAY: Final = 86_400


class SigningAlgorithm(StrEnum):
    """JWS algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1) that the service can sign with."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    ES256 = "ES256"
    ES384 = "ES384"
    EDDSA = "EdDSA"


class KeysRotation(StrEnum):
    """Who rotates the keys."""

    AUTO = "auto"
    """This process does, together with its replicas."""
    OFF = "off"
    """Something else runs ``auth-service keys rotate``."""


class KeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Signing keys"""

    keys_source: Annotated[
        str,
        setting(
            "Where the key ring is kept. `memory:` makes new keys at every start: for development only.",
            allowed="memory:, file:///path, secret://namespace/name or redis:",
            parse=parse_keys_source,
        ),
    ] = "memory:"
    keys_file: Annotated[
        Path | None,
        setting("Short for `KEYS_SOURCE=file://` and this path.", allowed="the path of a file", parse=parse_path),
    ] = None
    keys_kek_file: Annotated[
        Path | None,
        setting(
            "The key that seals the private keys at rest; required by `KEYS_SOURCE=redis:`.",
            allowed="the path of a file with 32 bytes in base64, and older keys on further lines",
            parse=parse_path,
        ),
    ] = None
    keys_algorithms: Annotated[
        tuple[SigningAlgorithm, ...],
        setting(
            "The algorithms of which keys are kept; the first one signs access tokens.",
            allowed=f"{', '.join(SigningAlgorithm)}, separated by commas or spaces",
        ),
    ] = (SigningAlgorithm.ES256, SigningAlgorithm.RS256)
    keys_rsa_bits: Annotated[int, setting("The length of new RSA keys.", ge=2048, le=8192)] = 2048
    keys_rotation: Annotated[
        KeysRotation,
        setting("`auto`: this process rotates the keys; `off`: something else runs `auth-service keys rotate`."),
    ] = KeysRotation.AUTO
    jwks_rotation_seconds: Annotated[
        int, setting("How long a key signs before its successor does.", ge=1, le=366 * _DAY)
    ] = _DAY
    jwks_retain_seconds: Annotated[
        int,
        setting(
            "How long a key stays in the JWKS after it last signed; no shorter than the longest life of a token.",
            ge=1,
            le=366 * _DAY,
        ),
    ] = 90_000
    jwks_max_age_seconds: Annotated[
        int, setting("For how long a verifier may cache `/jwks.json` (`Cache-Control: max-age`).", ge=1, le=_DAY)
    ] = 300
    keys_propagation_seconds: Annotated[
        int,
        setting(
            "How long a new key ring takes to reach every replica; kubelet alone may take two minutes.", ge=0, le=_DAY
        ),
    ] = 120
    key_clock_skew_seconds: Annotated[
        int, setting("How far the clocks of replicas and verifiers may be apart.", ge=0, le=3600)
    ] = 30
