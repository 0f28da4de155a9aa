"""`anonbox dicom`: DICOM over the network, a process beside the daemon."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path

import click

from appliance.cli.common import FOLDER, box_option, config_option, log_format
from appliance.config import load


@click.command()
@config_option
@box_option
@click.option(
    "--state",
    type=FOLDER,
    envvar="STATE_DIRECTORY",
    help="Folder of this process's own, for what was sent and how it is doing.  [default: state/dicom in the box]",
)
def dicom(config_path: Path | None, box: Path | None, state: Path | None) -> None:
    """Receive pictures by C-STORE into the drop folder and send results on to a node, until SIGTERM.

    What is done is in [dicom] of the configuration; with neither port nor send_to set, nothing is, and the command ends.
    """
    config = load(config_path, box=box)
    if not config.dicom.port and not config.dicom.send_to:
        click.echo("nothing to do: neither dicom.port nor dicom.send_to is set")
        return
    from appliance.dicomnet.receive import Receiver
    from appliance.dicomnet.send import Sender

    logging.basicConfig(format=log_format(), level=logging.INFO)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    parts: list[Receiver | Sender] = []
    if config.dicom.port:
        parts.append(Receiver(config))
    if config.dicom.send_to:
        own = state or config.folders.state / "dicom"
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        parts.append(Sender(config, own / "sent", own / "status.json", time.monotonic))
    for part in parts:
        part.start()
    click.echo(f"DICOM: {config.dicom.ae_title} {f'listens on port {config.dicom.port}' if config.dicom.port else 'sends only'}", err=True)
    ended.wait()
    for part in parts:
        part.close()
