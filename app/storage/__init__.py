"""Where tokens are remembered: one interface, and one package or module for each backend."""
