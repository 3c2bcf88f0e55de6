"""The capacity model: what many pods and Redis shards can take, from what one of each was measured to cost.

    python -m loadtest model --measure     measures the constants anew (minutes, on an idle machine), then the page
    python -m loadtest model               writes the page and the plots of docs/scaling.md from the constants

The pieces, each pure but ``measure``:

    measurements   the constants, with how each was measured
    measure        measures them: the service, Redis and wrk on this machine
    pod            a simulation of one pod: requests in time order, one loop, batches to Redis
    popularity     which share of introspections a bounded cache answers
    sizing         from a demand to pods, shards, network, memory, and what breaks first
    page           the tables and plots
"""
