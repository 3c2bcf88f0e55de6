"""How fast and how small the service is, measured so that the figures mean something on any machine.

Rules:
- Absolute figures drift between machines and minutes. What is kept and compared is the ratio to the bare server
  (:mod:`benchmarks.bare_server`) of the same round; rounds are interleaved, every second one in reverse order.
- The server has one core, the load another. Whatever else runs on the machine makes the spread wider.
- Nothing is asserted about time in tests; tests cover the arithmetic and the reading of the load generator's output.
- A row counts only if every answer of its rounds had status 200, and samples before and after were right.
- Only packages that the service itself needs are imported, so that an installed service can be measured.
"""
