"""The box as a device: update.py brings a signed version, share_units.py writes the units that mount the hospital's shares."""
