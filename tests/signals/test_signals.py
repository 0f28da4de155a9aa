"""LED, sound and messages: on a made-up /sys, with a scripted player, and with a real web server that hears what is sent."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from boxes import snapshot

from appliance.signals import led_and_sound, messages
from appliance.signals.messages import Route
from appliance.status.snapshot import STATES, State, write


@pytest.fixture
def leds(tmp_path: Path) -> Path:
    for name in ("input3::capslock", "mmc0::", "board:green:status"):
        folder = tmp_path / "leds" / name
        folder.mkdir(parents=True)
        (folder / "trigger").write_text("none timer [heartbeat] mmc0\n")
        (folder / "max_brightness").write_text("255\n")
        (folder / "brightness").write_text("0\n")
        for delay in ("delay_on", "delay_off"):
            (folder / delay).touch()
    return tmp_path / "leds"


def read(leds: Path) -> list[str]:
    return [(leds / "board:green:status" / name).read_text() for name in ("trigger", "delay_on", "delay_off", "brightness")]


def test_the_boards_own_led_is_found_and_no_keyboards(leds: Path) -> None:
    led = led_and_sound.find_led("auto", leds)
    assert led is not None
    led.show("Ready")
    assert (leds / "board:green:status/brightness").read_text() == "255"
    assert (leds / "input3::capslock/brightness").read_text() == "0\n"
    assert led_and_sound.find_led("", leds) is None
    assert led_and_sound.find_led("auto", leds / "none") is None
    with pytest.raises(FileNotFoundError):
        led_and_sound.find_led("typo", leds)


def test_every_state_has_a_pattern_and_the_urgent_ones_are_unlike_all_others(leds: Path) -> None:
    assert set(led_and_sound.BLINKING) == set(STATES)
    for urgent in ("Needs attention", "Safe to remove", "Ready"):
        assert list(led_and_sound.BLINKING.values()).count(led_and_sound.BLINKING[urgent]) == 1
    led = led_and_sound.find_led("board:green:status", leds)
    assert led is not None
    led.show("Needs attention")
    assert read(leds)[:3] == ["timer", "100", "100"]
    led.show("Stopped")
    assert (read(leds)[0], read(leds)[3]) == ("none", "0")
    led.close()
    assert read(leds)[0] == "heartbeat", "as it was before"


def test_a_led_that_cannot_blink_goes_dark_instead_of_telling_the_state_of_before(leds: Path) -> None:
    led = led_and_sound.find_led("board:green:status", leds)
    assert led is not None
    led.show("Ready")
    (leds / "board:green:status/delay_on").unlink()
    (leds / "board:green:status/delay_on").mkdir()
    with pytest.raises(OSError, match="directory"):
        led.show("Needs attention")
    assert (leds / "board:green:status/brightness").read_text() == "0"


class Watch:
    def __init__(self, folder: Path, led: led_and_sound.Led | None) -> None:
        self.path, self.note, self.now, self.led = folder / "status.json", folder / "state", 1000.0, led
        self.signals = led_and_sound.Signals(self.path, led, "aplay", self.note, after_s=60)

    def at(self, state: State, seconds: int = 1, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            self.now += step
            write(self.path, snapshot(state, written_at=self.now))
            self.signals.turn(self.now, self.now)


def test_led_and_sound_follow_the_state(leds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[State] = []
    monkeypatch.setattr(led_and_sound, "play", lambda program, state: heard.append(state))
    watch = Watch(tmp_path, led_and_sound.find_led("auto", leds))
    watch.at("Ready", 3)
    watch.at("Working", 3)
    assert read(leds)[:3] == ["timer", "500", "500"]
    watch.at("Safe to remove", 3)
    assert heard == ["Working", "Safe to remove"], "once each, and nothing at the start"
    watch.signals.turn(watch.now + 100, watch.now + 100)
    assert (heard[-1], read(leds)[1]) == ("Needs attention", "100"), "a daemon that says nothing any more"


def test_a_message_is_due_only_when_it_lasts_and_again_when_it_is_over(tmp_path: Path) -> None:
    watch = Watch(tmp_path, None)
    watch.signals._program = "none"
    watch.at("Needs attention", 30, 10)
    watch.at("Ready", 100, 10)
    assert not watch.note.exists()
    watch.at("Needs attention", 70, 10)
    assert watch.note.read_text() == "Needs attention"
    watch.note.unlink()
    watch.at("Needs attention", 100, 10)
    assert not watch.note.exists(), "once"
    watch.at("Working", 70, 10)
    assert watch.note.read_text() == "Working"


def test_a_wrong_configuration_is_a_need_whatever_the_snapshot_says(leds: Path, tmp_path: Path) -> None:
    note = tmp_path / "state"
    watch = led_and_sound.Signals(
        tmp_path / "status.json", led_and_sound.find_led("auto", leds), "none", note, 60, "The configuration cannot be used."
    )
    for now in (1000.0, 1070.0):
        write(tmp_path / "status.json", snapshot("Ready", written_at=now))
        watch.turn(now, now)
    assert (read(leds)[1], note.read_text()) == ("100", "Needs attention")


def test_tones_are_a_sound_file_and_given_to_the_player(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], bytes]] = []
    monkeypatch.setattr(led_and_sound.subprocess, "run", lambda command, input, **_: calls.append((command, input)))
    for program in ("aplay", "beep", "none"):
        led_and_sound.play(program, "Safe to remove")
        led_and_sound.play(program, "Ready")
    (aplay, sound), (beep, _) = calls
    assert aplay == ["aplay", "-q", "-"]
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getframerate(), round(file.getnframes() / file.getframerate(), 2)) == (
            1,
            led_and_sound.RATE,
            0.45,
        )
        assert max(file.readframes(4000)) > 0
    assert beep == ["beep", "-f", "660", "-l", "150", "-D", "150", "-n", "-f", "880", "-l", "300", "-D", "150"]


def test_a_player_that_is_missing_is_told_and_harms_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    led_and_sound.play("aplay", "Needs attention")
    assert caplog.messages == ["no sound: aplay failed: FileNotFoundError"]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[tuple[dict[str, str], dict[str, str]]]]]:
    heard: list[tuple[dict[str, str], dict[str, str]]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((json.loads(body), dict(self.headers)))
            self.send_response(204 if self.path == "/hook" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", heard
        server.shutdown()
        thread.join()


def test_a_webhook_hears_the_state_and_the_name_and_nothing_else(hook: tuple[str, list], tmp_path: Path) -> None:
    url, heard = hook
    (tmp_path / "secret").write_text("token=t0ken\n")
    (tmp_path / "secret-plain").touch()
    assert messages.send("Needs attention", Route("endo-1", f"{url}hook"), messages.read_secrets(tmp_path)) == []
    ((body, headers),) = heard
    assert body == {"box": "endo-1", "state": "Needs attention", "text": "endo-1: Needs attention"}
    assert headers["Authorization"] == "Bearer t0ken"


def test_what_fails_is_told_without_address_or_secret(hook: tuple[str, list]) -> None:
    failures = messages.send("Ready", Route("x", f"{hook[0]}wrong"), {"token": "t0ken"})
    assert failures == ["webhook failed: HTTPError"]
    assert messages.send("Ready", Route("x", "file:///etc/passwd"), {}) == ["webhook failed: ValueError"]
    with pytest.raises(ValueError, match="not a state"):
        messages.send("MUSTERMANN.jpg", Route("x", hook[0]), {})


def test_e_mail_is_protected_before_the_password_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Server:
        def __init__(self, host: str, port: int, **_: object) -> None:
            log.append(f"{host} {port}")

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def starttls(self, context: object) -> None:
            log.append("tls")

        def login(self, name: str, password: str) -> None:
            log.append(f"login {name} {password}")

        def send_message(self, mail: messages.EmailMessage) -> None:
            log.append(f"{mail['To']} {mail['Subject']}")

    monkeypatch.setattr(messages.smtplib, "SMTP", Server)
    route = Route("endo-1", server="mail:587", sender="box@x", recipient="it@x")
    assert messages.send("Needs attention", route, {"username": "u", "password": "p"}) == []
    assert log == ["mail 587", "tls", "login u p", "it@x AnonBox endo-1: Needs attention"]
    unprotected = Route("endo-1", server="mail:25", recipient="it@x")
    assert messages.send("Ready", unprotected, {"password": "p"}) == ["e-mail failed: ValueError"]
    assert messages.send("Ready", unprotected, {}) == []
