"""The only place where objects are wired: Settings → stores, keys, endpoints, listeners."""
