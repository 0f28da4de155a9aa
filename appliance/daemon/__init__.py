"""The daemon: takes files from its sources, keeps the journal, publishes results. It never parses a picture.

start.py       opens the daemon, or waits until the disk lets it · announcer.py: what is said before
loop.py        one turn of the loop, signals, what the page and systemd are told; state.py: the one state (pure)
lane.py        one job from its job directory to its end, in a thread; what a failure means
store.py       the job directories in work/, and the steps into out/, done/ and quarantine/, each durable and repeatable
journal.py     what became of every picture, by number (SQLite)
recovery.py    what a kill left behind, made whole
reporter.py    the snapshot; record.py: what was done lately
shares.py      folders on other machines, each carried by a thread (share_worker.py)
sources/       where pictures come from: drop_folder.py (tree.py, settling.py), sticks.py (stick_reader.py), share.py
sinks/         where results go besides out/: share.py, stick.py (stick_writer.py runs as root)
"""
