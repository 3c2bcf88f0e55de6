"""The shell of each endpoint: load what the decision needs, let the protocol decide, commit, answer.

Nothing here knows ASGI or a web framework; ``app.web`` carries these functions.
"""
