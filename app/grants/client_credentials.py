"""Client credentials (RFC 6749 section 4.4): a client gets a token for itself."""

from app.grants.decision import Issue, Loaded, TokenPolicy
from app.model.clients import Client, ClientAuthMethod
from app.protocol.resources import grant_audience
from app.protocol.scopes import grant_scope
from app.protocol.token_request import TokenRequest


class ClientCredentials:
    """Only confidential clients; a refresh token only where the client is set so (RFC 6749 section 4.4.3)."""

    grant_type = "client_credentials"

    def permitted(self, client: Client) -> bool:
        return self.grant_type in client.grants and client.auth_method is not ClientAuthMethod.NONE

    def refresh_token_of(self, request: TokenRequest) -> str | None:
        return None

    def decide(self, request: TokenRequest, client: Client, loaded: Loaded, now: int, policy: TokenPolicy) -> Issue:
        return Issue(
            subject=client.id,  # RFC 9068 section 2.2: without a resource owner the subject is the client
            scope=grant_scope(request.scope, client.scopes, client.default_scopes),
            audience=grant_audience(request.resources, client.audiences, policy.issuer),
            with_refresh_token=client.refresh_token_enabled,
        )
