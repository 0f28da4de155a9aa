"""Measurements of the shipped product.

commands.py    anonbox bench
throughput.py  the shipped pipeline as the daemon runs it, and the floor beside it · copies.py: how often a picture is written
frames.py      drawn pictures, so that nothing is needed to measure · plots.py: the picture of the results, an extra of `make bench`
"""
