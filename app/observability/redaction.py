"""Keeping secrets out of what is logged: the safety net under the rule that nobody logs one.

Rules:
- What is recognised by its type never shows (``SecretText``, bytes); what is text is searched for the forms that
  secrets of this service have.
- A pattern may hide too much, never too little; each runs in linear time.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.model.secret_text import HIDDEN

_BASE64 = r"[A-Za-z0-9+/_.~=%-]"
_FIELDS = (
    r"client_secret|client_assertion|assertion|access_token|refresh_token|id_token|id_token_hint|device_code|"
    r"subject_token|actor_token|code_verifier|password|passwd|token"
)
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # Tokens and client secrets of this service: asa_ access, asr_ refresh, asc_ code, ascs_ client secret.
    (re.compile(r"(as(?:[arc]|cs)_)[A-Za-z0-9_-]+"), rf"\g<1>{HIDDEN}"),
    # JWS and JWE compact serialisations: their headers begin with '{"'.
    (re.compile(r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*"), f"[JWT {HIDDEN[1:]}"),
    (re.compile(r"-----BEGIN[^-]*PRIVATE KEY-----(?:(?!-----END).)*(?:-----END[^-]*-----)?", re.DOTALL), HIDDEN),
    # Whatever follows the name of the header on its line, in any notation.
    (re.compile(r"(?i)(authorization\b[\"']?\s{0,3}[,:=]\s{0,3})[^\r\n]+"), rf"\g<1>{HIDDEN}"),
    (re.compile(rf"(?i)\b((?:basic|bearer|dpop)\s{{1,3}}){_BASE64}{{8,}}"), rf"\g<1>{HIDDEN}"),
    (re.compile(rf"(?i)\b((?:{_FIELDS})=)[^&\s\"']+"), rf"\g<1>{HIDDEN}"),
    (re.compile(r"(?i)\b(code=)[^&\s\"']{16,}"), rf"\g<1>{HIDDEN}"),
    (re.compile(rf"(?i)([\"'](?:{_FIELDS})[\"']\s{{0,3}}[:,]\s{{0,3}}b?[\"'])[^\"']+"), rf"\g<1>{HIDDEN}"),
    (re.compile(r"([\"'](?:d|p|q|dp|dq|qi|k)[\"']\s{0,3}:\s{0,3}[\"'])[^\"']+"), rf"\g<1>{HIDDEN}"),
    (re.compile(r"(\$argon2(?:id|i|d)\$)[^\s\"']+"), rf"\g<1>{HIDDEN}"),
    # The user part of a URL.
    (re.compile(r"(://)[^\s/@\"']{1,512}@"), rf"\g<1>{HIDDEN}@"),
)
_SUSPICIOUS: Final = re.compile(
    rf"(?i)as(?:[arc]|cs)_|eyJ|PRIVATE KEY|authorization|basic\s|bearer\s|dpop\s|code=|\$argon2|@|(?:{_FIELDS})[=\"']"
    r"|[\"'](?:d|p|q|dp|dq|qi|k)[\"']"
)
"""Whether it is worth trying the patterns: most messages hold nothing of the kind."""


def redact_text(text: str) -> str:
    """``text`` without what looks like a secret."""
    if _SUSPICIOUS.search(text) is None:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_arguments(arguments: Any) -> Any:
    """The arguments of a log call, with bytes replaced by their length; anything else shows itself as it does."""
    if isinstance(arguments, Mapping):
        return {key: _argument(value) for key, value in arguments.items()}
    if isinstance(arguments, tuple):
        return tuple(_argument(value) for value in arguments)
    return arguments


def _argument(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return value


def plain(value: Any, redact: Callable[[str], str] = redact_text, depth: int = 4) -> Any:
    """An extra field's value as JSON can carry it, redacted; nesting beyond ``depth`` becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _argument(value)
    if depth > 0 and isinstance(value, Mapping):
        # The name decides as well: {"password": "…"} has no form that its value could be recognised by.
        return {
            redact(str(key)): HIDDEN if _is_secret_name(str(key)) else plain(item, redact, depth - 1)
            for key, item in value.items()
        }
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [plain(item, redact, depth - 1) for item in value]
    return redact(str(value))


def _is_secret_name(name: str) -> bool:
    return re.fullmatch(rf"(?i){_FIELDS}|authorization|code", name) is not None
