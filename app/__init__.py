"""auth-service: an OAuth 2.0 token service that issues, introspects and revokes tokens at high rates."""

__version__ = "0.1.0"
