"""How the box is doing: a snapshot the daemon writes, and the page that shows it."""
