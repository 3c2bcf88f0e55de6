"""Commands are tested with the settings that a test gives, not with those of whoever runs it."""

import pytest

from app.config.fields import all_fields


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in all_fields():
        monkeypatch.delenv(field.name, raising=False)
