"""What the state is told by: led_and_sound.py at the box, messages.py by e-mail and webhook. Both read the snapshot only."""
