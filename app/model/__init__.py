"""Frozen values that the parts of the service hand to each other; no behaviour beyond their own consistency."""
