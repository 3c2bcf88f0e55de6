"""From one setting's text to its value: the parsers for what msgspec does not convert by itself.

Rules:
- A parser takes stripped, non-empty text and returns the value, or raises ValueError with a short clause that says
  what is wrong, fit to follow ``NAME=value:``. The clause never repeats the text: it may be secret.
"""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from app.storage import redis_options

_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 section 3.3, ``scope-token``."""
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_SECRET_SOURCE: Final = re.compile(r"secret://[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def setting(
    description: str, *, allowed: str | None = None, parse: Any = None, default: str | None = None, **limits: Any
) -> msgspec.Meta:
    """The documentation and constraints of a settings field.

    Args:
        description: One sentence for the reference.
        allowed: What may be given, where the type does not say it.
        parse: The parser of this module to be used (of one item, where the field is a tuple).
        default: How the reference shows a default that is not a constant.
        limits: ``ge``, ``le`` and the like, as for ``msgspec.Meta``.
    """
    extra = {"allowed": allowed, "parse": parse, "default": default}
    return msgspec.Meta(description=description, extra=extra, **limits)


class Address(msgspec.Struct, frozen=True):
    """Where a listener binds."""

    host: str
    """An IP address or a host name; IPv6 without its brackets."""
    port: int
    """0 lets the system choose."""

    def for_worker(self, index: int) -> "Address":
        """The address of worker ``index``, counted from 0: each has a port of its own."""
        return Address(self.host, self.port + index if self.port else 0)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``host:port`` or ``[ip]:port``.

    An IPv4 address may stand in brackets, too: ``[$(POD_IP)]:9464`` is right whatever the pod's address is.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("has no port")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("the port is not a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ip_address(host)
        except ValueError:
            raise ValueError("what stands in brackets is not an IP address") from None
    elif ":" in host:
        raise ValueError("an IPv6 address must stand in brackets")
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError("the host is not an IP address or a host name")
    return Address(host, int(port))


def parse_host(text: str) -> str:
    """A host name."""
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("is not a host name, without a port")
    return text.lower()


def parse_network(text: str) -> str:
    """An IP address or a network in CIDR notation."""
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError("is neither an IP address nor a network without host bits") from None
    if network.prefixlen == 0:
        raise ValueError("everybody is no proxy: whoever is trusted can take any address")
    return str(network)


def _split_url(text: str) -> SplitResult:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("contains characters that a URL may not contain")
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    return url


def parse_base_url(text: str) -> str:
    """An issuer identifier (RFC 8414 section 2, with ``http`` for development); a trailing slash is dropped."""
    url = _split_url(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("is not an absolute http or https URL")
    if "?" in text or "#" in text:
        raise ValueError("has a query or a fragment")
    if "@" in url.netloc:
        raise ValueError("contains a user name")
    return f"{url.scheme}://{url.netloc.lower()}{url.path}".rstrip("/")


def parse_origin(text: str) -> str:
    """A web origin as browsers send it (RFC 6454 section 6.2)."""
    if text == "*":
        raise ValueError("a wildcard would let every site in: name each origin")
    url = _split_url(text)
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
        raise ValueError("an origin is scheme://host or scheme://host:port")
    if url.path.rstrip("/") or "?" in text or "#" in text:
        raise ValueError("an origin has no path, query or fragment")
    default_port = {"http": ":80", "https": ":443"}[url.scheme]
    return f"{url.scheme}://{url.netloc.lower().removesuffix(default_port)}"


def parse_scope_token(text: str) -> str:
    """One scope (RFC 6749 section 3.3)."""
    if not _SCOPE_TOKEN.fullmatch(text):
        raise ValueError('a scope is printable ASCII without spaces, " and \\ (RFC 6749 section 3.3)')
    return text


def parse_redis_url(text: str) -> str:
    """Where Redis is. The text may carry a password."""
    redis_options.parse_redis_url(text)
    return text


def without_password(url: str) -> str:
    """A URL fit to be shown."""
    return re.sub(r"(?<=//)[^/]*@", "[hidden]@", url)


def parse_keys_source(text: str) -> str:
    """Where the key ring is kept."""
    if text in ("memory:", "redis:") or _SECRET_SOURCE.fullmatch(text):
        return text
    if text.startswith("file://"):
        if not text.startswith("file:///") or len(text) < 9:
            raise ValueError("a file source is file:// and an absolute path")
        return text
    if text.startswith("secret:"):
        raise ValueError("a Secret is named secret://namespace/name")
    raise ValueError("is not a key source")


def parse_key_prefix(text: str) -> str:
    """What stands before every key and channel."""
    if not re.fullmatch(r"[A-Za-z0-9_./:-]{1,128}", text):
        # Braces would be taken for a Redis Cluster hash tag, and glob characters for a pattern in an ACL.
        raise ValueError("may hold only letters, digits and _ . / : -")
    return text


def parse_path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("contains a NUL")
    return Path(text)
