"""The settings' fields as a list: what loading, ``config check`` and the reference have in common.

It is read off the section Structs, so that a setting is declared in exactly one place.
"""

import types
import typing
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from app.config.settings import Settings
from app.model.secret_text import SecretText


class SettingField(msgspec.Struct, frozen=True, kw_only=True):
    """One setting."""

    name: str
    """The environment variable."""
    section: str
    """The section's attribute of ``Settings``."""
    section_title: str
    attribute: str
    """The field's attribute of its section."""
    kind: Any
    """The type of the value, or of one item where ``is_list``."""
    is_list: bool
    meta: msgspec.Meta
    default: Any

    @property
    def is_secret(self) -> bool:
        return self.kind is SecretText

    @property
    def parse(self) -> Callable[[str], Any] | None:
        parser: Callable[[str], Any] | None = (self.meta.extra or {})["parse"]
        return parser

    @property
    def description(self) -> str:
        return self.meta.description or ""

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        told: str | None = (self.meta.extra or {})["allowed"]
        if told is not None:
            return told
        if isinstance(self.kind, type) and issubclass(self.kind, StrEnum):
            return ", ".join(self.kind)
        if self.kind in (int, float):
            number = "a whole number" if self.kind is int else "a number"
            least, most = self.meta.ge, self.meta.le
            if most is None:
                return f"{number}, at least {least:,}".replace(",", "_").replace("_ ", ", ")
            return f"{number} from {least} to {most}"
        return "text"

    @property
    def default_text(self) -> str:
        """The default as Markdown; empty for none."""
        told: str | None = (self.meta.extra or {})["default"]
        if told is not None:
            return told
        text = shown(self.default)
        return f"`{text}`" if text else ""


def shown(value: Any) -> str:
    """A setting's value as one would write it in the environment; a secret is not shown."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(shown(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


@cache
def all_fields() -> tuple[SettingField, ...]:
    """Every setting, in the order of the reference."""
    return tuple(
        _field(section, section_type, attribute, hint)
        for section, section_type in typing.get_type_hints(Settings).items()
        for attribute, hint in typing.get_type_hints(section_type, include_extras=True).items()
    )


def _field(section: str, section_type: type[msgspec.Struct], attribute: str, hint: Any) -> SettingField:
    annotated, meta = typing.get_args(hint)
    kind, is_list = annotated, False
    if typing.get_origin(kind) is tuple:
        kind, is_list = typing.get_args(kind)[0], True
    elif isinstance(kind, types.UnionType):
        (kind,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
    return SettingField(
        name=attribute.upper(),
        section=section,
        section_title=(section_type.__doc__ or "").strip(),
        attribute=attribute,
        kind=kind,
        is_list=is_list,
        meta=meta,
        default=getattr(section_type(), attribute),
    )


def secret_file_names() -> dict[str, str]:
    """``NAME`` → ``NAME_FILE`` for every setting that may also be given by a file."""
    names = {field.name for field in all_fields()}
    return {name: f"{name}_FILE" for name in names if f"{name}_FILE" in names}
