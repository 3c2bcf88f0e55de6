"""Other servers that issue and introspect tokens, measured beside the service in the same run (``make bench-peers``).

Rules:
- Each peer is pinned to the core that the service has, is started as its documentation says for production, and keeps
  what it issues in its own memory: nobody waits for a disk.
- All are sent the same requests: client credentials for two scopes, and introspection, each with HTTP Basic.
- What a peer's default costs that can be had for less (a slow hash of generated secrets) is measured both ways.
- Versions are those of the locks in this folder and of ``tools/go/hydra``.
"""
