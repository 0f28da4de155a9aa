"""The study's ladder: file to file, one change a row, with other detectors beside it (`python -m engines.bench`).

ladder.py   the rows, put together from steps.py · others.py: other detectors · plots.py: the picture of the results

torch, OpenCV, matplotlib and the other detectors are an extra, which `make bench` installs.
"""
