"""The contract between the processes: the snapshot the daemon writes and all others read, and its states."""
