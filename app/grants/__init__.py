"""The grants, each a pure decision, and the explicit tuple of all of them.

A new grant is one file here, one line in :data:`GRANTS`, one test file.
"""

from app.grants.client_credentials import ClientCredentials
from app.grants.decision import Grant
from app.grants.refresh_token import RefreshToken

GRANTS: tuple[Grant, ...] = (ClientCredentials(), RefreshToken())
