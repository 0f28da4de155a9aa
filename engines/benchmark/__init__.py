"""The survival benchmark: what of a name stays readable on an endoscopy screen after redaction. All drawn, with exact ink."""

VERSION = "1"
"""Goes up with whatever changes the pictures of a seed."""
