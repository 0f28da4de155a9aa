"""Synthetic endoscopy screens with text whose place is known. Needs numpy and Pillow, never torch."""
