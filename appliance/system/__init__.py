"""What the operating system gives: files, inotify, systemd, clocks, health, liveness of a child."""
