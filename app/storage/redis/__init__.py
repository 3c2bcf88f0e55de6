"""The token store in Redis: shared by all replicas, one round trip a decision."""
