"""Measurements: how fast the box is, against the bare JPEG, the study's ladder and other detectors.

commands.py    anonbox bench
throughput.py  the shipped pipeline as the daemon runs it, and the floor beside it · copies.py: how often a picture is written
ladder.py      one change a row, put together from steps.py · others.py: other detectors
frames.py      drawn pictures, so that nothing is needed to measure · plots.py: the pictures of the results

torch, OpenCV, matplotlib and the other detectors are an extra, which `make bench` installs; throughput needs none of it.
"""
