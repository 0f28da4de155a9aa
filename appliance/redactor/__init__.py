"""The redactor: the one process that parses pictures, and the daemon's end of the line to it."""
