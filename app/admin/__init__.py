"""For operators: their own listener, their own authorization."""
