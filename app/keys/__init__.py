"""Signing keys: the ring, its rotation, where it is kept, and the JWTs that it signs and verifies.

Rules:
- A key's state follows from its timestamps in the ring document and the time: replicas that read one document
  switch at one instant, without talking to each other.
- A private key leaves this package only sealed, or into a place that its operator chose for it.
- No request waits for a key: rings are immutable and swapped as a whole.
"""
