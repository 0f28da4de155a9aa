"""The daemon: takes files from the drop folder, keeps the journal, publishes results. It never parses a picture.

start.py       opens the daemon, or waits until the disk lets it
daemon.py      one turn of the loop, signals, what the page and systemd are told; verdict.py: the one state (pure)
collector.py   sweep, wait until a file stands still, take it: inbox.py (the drop folder), stability.py (pure)
usb.py         the same from USB sticks; stick.py copies from one, in a thread
shares.py      folders on other machines; fetcher.py, deliverer.py: one of them each, in a thread (carrier.py)
lane.py        one job from its room to its end, in a thread; what a failure means
folders.py     the rooms in work/, and the steps into out/, done/ and quarantine/, each durable and repeatable
journal.py     what became of every picture, by number (SQLite)
recovery.py    what a kill left behind, made whole
age.py         a clock that wrong dates cannot push, for retention and examinations
board.py       the snapshot · notify.py: systemd · watch.py: inotify · files.py, faults.py: what all share
"""
