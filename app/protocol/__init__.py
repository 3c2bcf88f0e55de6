"""The rules of the RFCs as pure functions: values in, values or a :class:`~app.protocol.errors.ProtocolError` out.

No I/O, no clock, no randomness: both come as parameters.
"""
