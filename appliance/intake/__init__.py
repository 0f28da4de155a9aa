"""The daemon: takes files from the drop folder, keeps the journal, publishes results. It never parses a picture."""
