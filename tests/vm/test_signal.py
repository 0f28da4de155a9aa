"""What the box signals without a screen: a LED (the keyboard's, for want of another), a sound card, an e-mail, a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .machine import BOOT_S, Machine, until
from .sticks import make_stick, pictures

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]

LISTENER = r"""
import asyncore, http.server, smtpd, threading

class Mail(smtpd.SMTPServer):
    def process_message(self, peer, sender, recipients, data, **options):
        print("mail", sender, *recipients, data.decode().replace("\n", "|"), flush=True)

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print("hook", self.path, self.headers["Authorization"], body, flush=True)
        self.send_response(204)
        self.end_headers()

Mail(("127.0.0.1", 25), None)
threading.Thread(target=asyncore.loop, daemon=True).start()
http.server.HTTPServer(("127.0.0.1", 8099), Hook).serve_forever()
"""
"""A mail server and a web server inside the machine; what they hear is in the journal."""

SETTINGS = """
[signal]
led = "{led}"
sound = "aplay"
after_s = 3
name = "Suite 2"
mail_server = "127.0.0.1:25"
mail_to = "it@hospital.example"
"""


@pytest.fixture(scope="module")
def led(machine: Machine) -> Iterator[str]:
    """Folder of the LED that the box was told to use; it was also told where messages go."""
    name = machine.run("basename $(ls -d /sys/class/leds/*capslock | head -n 1)").strip()
    machine.run("cat >/root/listener.py", stdin=LISTENER)
    machine.run("systemd-run -q --unit listener /usr/bin/python3 -W ignore /root/listener.py")
    seal = "mkdir -p -m 700 /etc/credstore.encrypted && systemd-creds encrypt --name=secret - /etc/credstore.encrypted/anonbox-message"
    machine.run(seal, stdin="url=http://127.0.0.1:8099/hook\ntoken=open-sesame\n")
    machine.configure(SETTINGS.format(led=name))
    machine.run("systemctl restart anonbox-signal", BOOT_S)
    yield f"/sys/class/leds/{name}"
    machine.run("systemctl stop listener; rm /root/listener.py")
    machine.configure("")
    machine.run("systemctl restart anonbox-signal", BOOT_S)


def shines(machine: Machine, led: str) -> str:
    """How: "steady", "off", or milliseconds on and off."""
    said = machine.run(f"cd {led}; grep -o '\\[.*\\]' trigger; cat brightness delay_on delay_off 2>/dev/null", check=False).split()
    if said[0] == "[timer]":
        return "/".join(said[2:4])
    return "steady" if int(said[1]) else "off"


def hears(sound: Path, after: int) -> set[int]:
    """Frequencies of the tones the sound card played since its file had `after` bytes, to the next ten hertz."""
    samples = np.frombuffer(sound.read_bytes()[44:], "<i2").reshape(-1, 2)[max(0, after - 44) // 4 :, 0].astype(float)
    length = 4410  # a tenth of a second at the file's 44100 a second
    pieces = samples[: len(samples) // length * length].reshape(-1, length)
    loud = pieces[np.abs(pieces).max(1) > 1000]
    return {int(np.abs(np.fft.rfft(piece)).argmax()) * 10 for piece in loud}


def heard_by_the_listener(machine: Machine, word: str) -> list[str]:
    return [line for line in machine.run("journalctl -u listener -o cat --no-pager").splitlines() if line.startswith(word)]


def test_the_led_and_the_sound_tell_that_a_stick_may_go(machine: Machine, led: str, tmp_path: Path) -> None:
    until(lambda: shines(machine, led) == "steady", 60, "ready")
    sound = machine.sound
    before = sound.stat().st_size
    machine.plug("signal", make_stick(tmp_path / "signal.img", pictures(240)))
    machine.becomes("Safe to remove")
    until(lambda: shines(machine, led) == "100/1900", 30, "a short flash", lambda: shines(machine, led))
    until(lambda: {660, 880} <= hears(sound, before), 60, "the tones", lambda: str(hears(sound, before)))
    machine.pull("signal")
    machine.becomes("Ready")
    until(lambda: shines(machine, led) == "steady", 30, "ready again", lambda: shines(machine, led))


def test_somebody_is_called_when_needed_and_told_when_no_longer(machine: Machine, led: str) -> None:
    """A daemon that hangs cannot say so itself; the message holds the box's name and its state, and comes by both ways."""
    sound = machine.sound
    before = sound.stat().st_size
    machine.run("kill -STOP $(systemctl show -P MainPID anonbox)")
    machine.becomes("Needs attention", 60)
    until(lambda: shines(machine, led) == "100/100", 30, "a fast flash", lambda: shines(machine, led))
    machine.becomes("Ready")
    until(lambda: len(heard_by_the_listener(machine, "hook")) == 2, 120, "two messages")
    until(lambda: 440 in hears(sound, before), 60, "the tone", lambda: str(hears(sound, before)))
    hooks, mails = heard_by_the_listener(machine, "hook"), heard_by_the_listener(machine, "mail")
    for messages, begins in ((hooks, "hook /hook Bearer open-sesame {"), (mails, "mail it@hospital.example it@hospital.example ")):
        assert all(message.startswith(begins) and "Suite 2: " in message for message in messages)
        assert ["Suite 2: Needs attention" in message for message in messages] == [True, False]
