"""The status page: everything Flask. It stands on the snapshot alone."""
