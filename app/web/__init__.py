"""The edge: hot routes in front of Litestar, and Litestar for everything else."""
