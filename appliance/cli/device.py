"""What an installed box needs: `anonbox update` and `anonbox shares`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.common import FOLDER, config_option
from appliance.config import load


@click.command()
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--older", is_flag=True, help="Take it even if it is of an earlier version than the one that runs.")
def update(bundle: Path, older: bool) -> None:
    """Bring this box to the version in BUNDLE (`make bundle`), as root. Pictures and settings stay.

    The bundle must be whole and signed by one of /etc/anonbox/update-signers. The new version is tested before it runs; when it does not
    start, the one before goes on. Exit code 0 when the new version runs.
    """
    from appliance.install.update import update as install

    sys.exit(install(bundle, older=older))


@click.command()
@config_option
@click.option("--into", type=FOLDER, help="Write them into this folder, and remove those there that the configuration no longer asks for.")
def shares(config_path: Path | None, into: Path | None) -> None:
    """Make the systemd units that mount the hospital's shares, as [shares] says; without --into they are printed.

    The installer does it. Name and password for SMB are a credential of systemd, of mount.cifs's form (username=, password=, domain=), in
    /etc/credstore.encrypted/anonbox-share-in (systemd-creds encrypt --name=share), or readable by root alone in
    /etc/credstore; likewise -out. Prints the names of the automount units.
    """
    from appliance.install import share_units

    units = share_units.units(load(config_path).shares)
    if into is None:
        for name, text in units.items():
            click.echo(f"# {name}\n{text}")
        return
    share_units.replace_units(into, units)
    for name in units:
        if name.endswith(".automount"):
            click.echo(name)
