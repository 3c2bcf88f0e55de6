"""What a configuration amounts to, fit to be shown."""

import msgspec

from app.config.fields import SettingField, all_fields, secret_file_names, shown
from app.config.load import Loaded
from app.config.values import without_password
from app.model.secret_text import SecretText


class EffectiveSetting(msgspec.Struct, frozen=True):
    """One setting as it is in force."""

    section: str
    name: str
    value: str
    """As it would be written in the environment; secrets are hidden."""
    origin: str
    """``environment``, ``file``, ``default`` or ``derived``."""


def effective(loaded: Loaded) -> tuple[EffectiveSetting, ...]:
    """Every setting with its value and where that comes from."""
    files = secret_file_names()
    rows = []
    for field in all_fields():
        value = getattr(getattr(loaded.settings, field.section), field.attribute)
        if field.name in loaded.given:
            origin = "environment"
        elif files.get(field.name) in loaded.given:
            origin = "file"
        else:
            origin = "default" if value == field.default else "derived"
        rows.append(EffectiveSetting(field.section_title, field.name, _shown(field, value), origin))
    return tuple(rows)


def _shown(field: SettingField, value: object) -> str:
    if field.name == "REDIS_URL" and isinstance(value, SecretText):
        return without_password(value.reveal())
    return shown(value)
