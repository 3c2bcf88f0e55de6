"""Load tests run, judged and reported: k6's scripts are in ``k6/``, what starts and reads them is here.

    python -m loadtest --help

Not part of the service: nothing in ``app`` imports it.
"""
