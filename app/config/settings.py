"""All settings of the service, by section.

Rules:
- A field ``name`` of any section is set by the environment variable ``NAME``; names are unique over all sections.
- A field ``name_file`` beside a field ``name`` is the other way to give that secret: by a file that holds it. After
  loading, ``name`` has the secret either way, and ``name_file`` tells where to read it again when it changes.
- Every field has a default, and a description that the reference is generated from.
"""

import msgspec

from app.config.clients_settings import ClientSettings
from app.config.keys import KeySettings
from app.config.limits import LimitSettings
from app.config.listeners import ListenerSettings
from app.config.outgoing import OutgoingSettings
from app.config.process import ProcessSettings
from app.config.store import StoreSettings
from app.config.tokens import TokenSettings
from app.config.tracing import TracingSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decided."""

    listeners: ListenerSettings = ListenerSettings()
    process: ProcessSettings = ProcessSettings()
    tokens: TokenSettings = TokenSettings()
    store: StoreSettings = StoreSettings()
    clients: ClientSettings = ClientSettings()
    keys: KeySettings = KeySettings()
    limits: LimitSettings = LimitSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    tracing: TracingSettings = TracingSettings()
