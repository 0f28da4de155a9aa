"""Stands in for appliance.redactor.process: greets, then does to each picture what its first word says."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time

from appliance.redactor import wire

GREETINGS = {
    "good": {"ready": {"name": "scripted", "precision": "FP32", "model": "0", "device": "none"}, "locked": True},
    "unlocked": {"ready": {"name": "scripted", "precision": "FP32", "model": "0", "device": "none"}, "locked": False},
    "bad-config": {"bad_config": ["weights", "are gone"]},
    "broken": {"down": "the GPU is on fire"},
}
REPORT = {"format": "jpeg", "masks": [], "looks": 2, "notes": [], "stages_ms": {}}


def lane(line: socket.socket) -> None:
    while True:
        try:
            _, (source, target) = wire.receive(line)
        except EOFError:
            return
        word = os.read(source, 100).decode()
        if word == "die":
            os._exit(3)
        if word == "hang":
            time.sleep(60)
        if word == "talk":
            for done in range(8):
                time.sleep(0.1)
                wire.send(line, {"progress": [done, 8]})
        if word == "babble":
            print("MUSTERMANN, ERIKA Mustermann", "CRITICAL anonbox.redactor: ZeroDivisionError in png.py:12", sep="\n", flush=True)
        if word == "nonsense":
            wire.send(line, {"progress": "soon"})
        if word == "slow":
            time.sleep(0.3)
        answers = {
            "damaged": {"bad_file": ["damaged", "broken picture"]},
            "full": {"os_error": 28},
            "lost": {"device_lost": ["cuInit", "999"]},
        }
        os.write(target, b"result")
        os.close(source)
        os.close(target)
        wire.send(line, answers.get(word, {"done": REPORT}))


def main() -> None:
    if sys.argv[1] == "silent":
        sys.exit(1)
    if sys.argv[1] == "stuck":
        time.sleep(60)
    if sys.argv[1] == "late":
        time.sleep(0.5)
    settings = sys.argv[2]
    descriptors = wire.Settings(**json.loads(settings)).lanes
    lines = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    wire.send(lines[0], GREETINGS.get(sys.argv[1], GREETINGS["good"]))
    threads = [threading.Thread(target=lane, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
