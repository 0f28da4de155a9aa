"""Measurements: how fast the box is, against the study's ladder, against the bare JPEG, against other detectors.

frames.py      drawn pictures, so that nothing is needed to measure
throughput.py  the shipped pipeline as the daemon runs it, and the floor beside it
"""
