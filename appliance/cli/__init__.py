"""The command line: the only place that wires things together."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

import appliance
from appliance.bench.commands import bench
from appliance.config import Config, Page, document, load, salvage, user_cache
from appliance.errors import AnonBoxError, BadConfig, BadFile, why_not

SHORTEST_PIN = 6

EXIT_REFUSED, EXIT_CONFIG, EXIT_DOWN = 1, 78, 69  # the last two: sysexits EX_CONFIG, EX_UNAVAILABLE

if TYPE_CHECKING:
    from appliance.status.server import Serving

FOLDER = click.Path(file_okay=False, path_type=Path)
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="ANONBOX_CONFIG",
    help="TOML file; defaults apply without.",
)
box_option = click.option("--box", type=FOLDER, help="Folder that holds in/, out/, done/, quarantine/ and state/.  [default: ./box]")


class Commands(click.Group):
    """Turns the errors this program raises on purpose into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BadConfig as error:
            click.echo(f"anonbox: {error}", err=True)
            ctx.exit(EXIT_CONFIG)
        except AnonBoxError as error:
            click.echo(f"anonbox: {error}", err=True)
            ctx.exit(EXIT_DOWN)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(appliance.__version__, prog_name="anonbox")
def cli() -> None:
    """Remove every text overlay and every other trace of a patient from endoscopy pictures.

    Drop pictures into box/in while `anonbox run` is on; results appear in box/out, refused files in box/quarantine.
    """


@cli.command()
@config_option
@box_option
@click.option("--page/--no-page", "with_page", default=False, help="Start the status page too, as a process of its own.")
def run(config_path: Path | None, box: Path | None, with_page: bool) -> None:
    """Watch the drop folder and redact what arrives, until SIGTERM. SIGHUP rereads the configuration."""
    from appliance.intake import attention
    from appliance.intake.start import run_box
    from appliance.prepare import Announcer, ensure_plans
    from appliance.redactor.client import RedactorProcess

    signal.signal(signal.SIGTERM, _leave)  # until run_box knows better: a first start may compile for minutes
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reload = partial(load, config_path, box=box)
    try:
        config = reload()
    except BadConfig as error:  # page and signals see it by themselves
        attention.tell("Needs attention", why_not(error))
        raise
    logging.basicConfig(format=_log_format(), level=logging.INFO)
    with ExitStack() as undo:
        if with_page:
            undo.callback(_stop, _start_page(config_path, config))
        announce = Announcer(config.folders.state / "status.json", time.time())
        try:
            ensure_plans(config, _plans(config), announce)
            redactor = RedactorProcess(config, _plans(config), say=announce)
            undo.callback(redactor.close)
            sys.exit(run_box(config, redactor, reload))
        except AnonBoxError as error:
            announce.give_up(error)
            raise


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _log_format() -> str:
    """Under systemd the journal adds the time itself."""
    return "%(levelname)s %(message)s" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s %(levelname)s %(message)s"


def _start_page(config_path: Path | None, config: Config) -> subprocess.Popen[bytes]:
    """The page as a child; it ends when the pipe to it closes, which even a killed parent does."""
    options = ["--box", str(config.folders.box)] + (["--config", str(config_path)] if config_path else [])
    command = [sys.executable, "-I", "-m", "appliance", "page", "--until-stdin-closes", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.communicate()


@cli.command()
@config_option
@box_option
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def page(config_path: Path | None, box: Path | None, until_stdin_closes: bool) -> None:
    """Serve the status page, by default on http://127.0.0.1:8080. With a wrong configuration it says so, and nothing else."""
    from appliance.status.server import serve

    config, serving = _to_serve(config_path, box)
    if until_stdin_closes:
        for ignored in (signal.SIGINT, signal.SIGHUP):  # meant for the parent
            signal.signal(ignored, signal.SIG_IGN)
        threading.Thread(target=_follow_stdin, daemon=True).start()

    def say_where(port: int) -> None:
        click.echo(f"status page: http{'s' if config.page.certificate else ''}://{config.page.host}:{port}/", err=True)

    try:
        serve(config.folders.state / "status.json", serving, say_where)
    except OSError as error:
        raise BadConfig("page", f"cannot listen on {config.page.host}:{config.page.port}: {error.strerror}; choose another port") from error


def _to_serve(config_path: Path | None, box: Path | None) -> tuple[Config, Serving]:
    """The configuration as far as it is right, and what the page's server needs to know."""
    from appliance.status.server import Serving

    config, wrong = salvage(config_path, box=box)
    try:
        serving = _serving(config.page)
    except BadConfig as error:
        wrong, serving = wrong or error, Serving(config.page.host, config.page.port, _names(config.page))
    if wrong is None:
        return config, serving
    click.echo(f"anonbox: {wrong}; the page says so, and nothing else", err=True)
    return config, replace(serving, fault=why_not(wrong))


def _names(page: Page) -> tuple[str, ...]:
    return tuple(name.strip() for name in page.names.split(",") if name.strip())


def _serving(page: Page) -> Serving:
    """What the page's server needs to know. Raises BadConfig when PIN or certificate cannot be used."""
    from appliance.status.server import Serving, tls_context

    pin = ""
    if page.pin_file:
        try:
            pin = Path(page.pin_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadConfig("page.pin_file", f"cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from error
        if len(pin) < SHORTEST_PIN:
            raise BadConfig("page.pin_file", f"holds {len(pin)} characters, at least {SHORTEST_PIN} are needed")
    try:
        tls = tls_context(page.certificate, page.certificate_key) if page.certificate else None
    except OSError as error:  # ssl.SSLError among them
        raise BadConfig("page.certificate", f"cannot be used with page.certificate_key: {error.strerror}") from error
    return Serving(page.host, page.port, _names(page), pin, tls)


def _follow_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


@cli.command()
@config_option
@box_option
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
def status(config_path: Path | None, box: Path | None, as_json: bool) -> None:
    """Say how the running box is doing. Exit code 1 when it needs attention or does not run."""
    from appliance.status import snapshot

    path = load(config_path, box=box).folders.state / "status.json"
    try:
        now = snapshot.read(path)
    except FileNotFoundError:
        raise click.ClickException(f"no box has run here: {path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
    if as_json:
        click.echo(json.dumps(asdict(now), indent=1))
    else:
        click.echo(f"{now.state}{': ' + now.detail if now.detail else ''}")
        click.echo(f"waiting {now.waiting}, in work {now.working}, done today {now.done_today}, ever {now.done_ever}")
        click.echo(f"quarantined {now.refused_ever}, left in the drop folder {sum(now.left.values())}")
        if now.engine and now.engine.note:
            click.echo(f"{now.engine.name} runs {now.engine.note}")
        if now.health and now.health.throttling:
            click.echo(f"slowed down: {now.health.throttling}")
        click.echo(f"{now.images_per_minute} pictures in the last minute, {now.free_bytes / 2**30:.1f} GiB free, version {now.version}")
    sys.exit(0 if now.state not in {"Needs attention", "Stopped"} else 1)


@cli.command()
@config_option
@box_option
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@click.option("--config-example", is_flag=True, help="Print the configuration with every key, its default and its meaning; check nothing.")
def doctor(config_path: Path | None, box: Path | None, as_json: bool, config_example: bool) -> None:
    """Say what this machine has and lacks, and what to do. Exit code 1 when something keeps the box from working."""
    from appliance.doctor import examine

    if config_example:
        click.echo(document())
        return
    config, checks = load(config_path, box=box), []
    for check in examine(config, _cache(config)):
        checks.append(check)
        if not as_json:
            click.echo(f"{check.status:>6}  {check.name:<13} {check.detail}")
            if check.advice:
                click.echo(f"{'':>8}{'':<13} -> {check.advice}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    sys.exit(1 if any(check.status == "failed" for check in checks) else 0)


@cli.command()
@config_option
@box_option
@click.option("--json", "as_json", is_flag=True, help='Print {"ok", "checks": [{"name", "status", "detail"}]}.')
def selftest(config_path: Path | None, box: Path | None, as_json: bool) -> None:
    """Try everything the box needs on this very machine: engine, masks, sandbox, watchdog. Exit code 0 only if all that applies passed.

    Takes half a minute, on a new GPU minutes more. Run it as the user the box runs as. The report holds no picture and no patient data.
    """
    from appliance.selftest import SelfTest

    config = load(config_path, box=box)
    cache = _plans(config) if os.access(config.folders.state, os.W_OK) else _cache(config)
    checks = []
    for check in SelfTest(config, cache, lambda text: None if as_json else click.echo(f"... {text}", err=True)).run():
        checks.append(check)
        if not as_json:
            click.echo(f"{check.status:>14}  {check.name}: {check.detail}")
    ok = all(check.status != "failed" for check in checks)
    if as_json:
        click.echo(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}, indent=1))
    sys.exit(0 if ok else 1)


@cli.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=False, path_type=Path))
@click.option("--out", required=True, type=FOLDER, help="Folder for the results; made if missing; results of the same name are replaced.")
@click.option("--masks", type=FOLDER, help="Folder for one PNG a picture, STEM.png, 255 = removed.")
@click.option(
    "--mode", type=click.Choice(["mask", "boxes"]), help="mask: black out the score map; boxes: decode boxes first.  [default: mask]"
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def redact(inputs: Sequence[Path], out: Path, masks: Path | None, mode: Any, config_path: Path | None, as_json: bool) -> None:
    """Redact INPUTS, files or folders, once. Exit code 1 when any file was refused."""
    from appliance import batch
    from appliance.prepare import ensure_plans
    from appliance.redactor.client import RedactorProcess

    config = load(config_path)
    if mode:
        config = replace(config, detect=replace(config.detect, mode=mode))
    items = batch.collect(inputs)
    places = batch.Places(out, masks)
    if harm := batch.find_harm(items, inputs, places):
        raise click.UsageError(harm)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as after Ctrl-C, nothing half-done is left
    ensure_plans(config, _cache(config), _to_stderr)
    redactor = RedactorProcess(config, _cache(config))
    try:
        start = time.perf_counter()
        with click.progressbar(length=len(items), label="redacting", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()) as bar:
            outcomes = batch.redact_all(items, redactor, places, lambda _: bar.update(1))
        seconds = time.perf_counter() - start
        peak = redactor.peak_mib()
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror}") from error
    finally:
        redactor.close()
    refused = [outcome for outcome in outcomes if isinstance(outcome.result, BadFile)]
    summary = {
        "redacted": len(outcomes) - len(refused),
        "refused": len(refused),
        "ms_per_image": round(1e3 * seconds / max(1, len(outcomes)), 1),
        "redactor_peak_mib": peak,
    }
    if as_json:
        click.echo(json.dumps({**summary, "files": [outcome.to_json() for outcome in outcomes]}, indent=1))
    else:
        for outcome in refused:
            click.echo(f"refused  {outcome.item.source}: {outcome.result}", err=True)
        click.echo(
            "{redacted} redacted, {refused} refused, {ms_per_image} ms an image, redactor peak {redactor_peak_mib} MiB".format(**summary)
        )
    sys.exit(EXIT_REFUSED if refused else 0)


@cli.group()
def engine() -> None:
    """Build and show the TensorRT engines of this device. Plans are kept in state/engines, of the box or of --box."""


engine_mode = click.option("--mode", type=click.Choice(["mask", "boxes"]), help="Which model.  [default: as configured]")


@engine.command()
@config_option
@box_option
@engine_mode
@click.option("--force", is_flag=True, help="Build anew even if a plan fits this device.")
def build(config_path: Path | None, box: Path | None, mode: Any, force: bool) -> None:
    """Build INT8 and FP16, measure them here, and keep the fastest that agrees with the reference. Takes minutes.

    `anonbox run` does the same at its first start. Run it as the user the box runs as: plans belong to whoever built them.
    """
    from appliance.engine import EngineOptions
    from appliance.engine.model import load_model
    from engines.build import choose

    config = load(config_path, box=box)
    model = load_model(mode or config.detect.mode)
    start = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {text}", err=True)

    choice = choose(EngineOptions(model.path, model.sha256, cache=_plans(config), precision=config.engine.precision), say, force=force)
    click.echo(choice.why)


@engine.command()
@config_option
@box_option
@engine_mode
def info(config_path: Path | None, box: Path | None, mode: Any) -> None:
    """Say what is here to build with and from, what was chosen, and why, as JSON. Exit code 1 when no plan fits this device."""
    from engines.build import describe

    config = load(config_path, box=box)
    facts = describe(mode or config.detect.mode, _plans(config), config.engine.precision)
    click.echo(json.dumps(facts, indent=1))
    sys.exit(0 if facts.get("choice") else 1)


@engine.command("list")
@config_option
@box_option
def list_(config_path: Path | None, box: Path | None) -> None:
    """List the plans that are kept, newest first: for which library and device, and why they were chosen."""
    from appliance.engine import plans

    folder = _plans(load(config_path, box=box))
    records = plans.records(folder)
    for path in records:
        try:
            kept = plans.read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            click.echo(f"{path.name}  cannot be read: {error}")
            continue
        built = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.built_at))
        click.echo(f"{path.stem}  {built}  {kept.key.library} on {kept.key.device}: {kept.why}")
    if not records:
        click.echo(f"no plans in {folder}")


def _plans(config: Config) -> Path:
    """Where the box keeps compiled models."""
    return config.folders.state / "engines"


def _cache(config: Config) -> Path:
    """Where commands that are not the daemon look for compiled models: among the box's own plans where this user may, because building
    them anew takes minutes; otherwise in the user's cache."""
    plans = _plans(config)
    return plans if config.engine.name == "tensorrt" and os.access(plans, os.R_OK | os.X_OK) else user_cache()


def _to_stderr(text: str) -> None:
    click.echo(text, err=True)


@cli.command()
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def update(bundle: Path) -> None:
    """Bring this box to the version in BUNDLE (`make bundle`), as root. Pictures and settings stay.

    The bundle must be whole and signed by one of /etc/anonbox/update-signers. The new version is tested before it runs; when it does not
    start, the one before goes on. Exit code 0 when the new version runs.
    """
    from appliance.update import update as install

    sys.exit(install(bundle))


@cli.command()
@config_option
@click.option("--into", type=FOLDER, help="Write them into this folder, and remove those there that the configuration no longer asks for.")
def shares(config_path: Path | None, into: Path | None) -> None:
    """Make the systemd units that mount the hospital's shares, as [shares] says; without --into they are printed.

    The installer does it. Name and password for SMB are a credential of systemd, of mount.cifs's form (username=, password=, domain=), in
    /etc/credstore.encrypted/anonbox-share-in (systemd-creds encrypt --name=share), or readable by root alone in
    /etc/credstore; likewise -out. Prints the names of the automount units.
    """
    from appliance import mounts

    units = mounts.units(load(config_path).shares)
    if into is None:
        for name, text in units.items():
            click.echo(f"# {name}\n{text}")
        return
    mounts.replace_units(into, units)
    for name in units:
        if name.endswith(".automount"):
            click.echo(name)


@cli.command("signal")
@config_option
@box_option
@click.option("--note", type=click.Path(path_type=Path), help="File that the state is written into when a message about it is due.")
def signal_(config_path: Path | None, box: Path | None, note: Path | None) -> None:
    """Show the state by LED and sound, as [signal] says, until SIGTERM."""
    from appliance.status.signals import Signals, find_led

    config, wrong = salvage(config_path, box=box)
    logging.basicConfig(format=_log_format(), level=logging.INFO)
    if wrong is not None:
        logging.error("%s; shown as a need for attention", wrong)
    led = None
    try:
        led = find_led(config.signal.led)
    except OSError:  # messages must not end with it
        logging.error("signal.led is %r, which is no LED of this machine: see /sys/class/leds", config.signal.led)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    fault = "" if wrong is None else why_not(wrong)
    Signals(config.folders.state / "status.json", led, config.signal.sound, note, config.signal.after_s, fault).run(ended)


@cli.command()
@config_option
@click.argument("note", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def message(config_path: Path | None, note: Path) -> None:
    """Send the state in the file NOTE by e-mail and to the webhook, as [signal] says. Nothing but the state and the box's name is sent.

    A setting that is wrong is passed over. Exit code 1 when a way failed. Secrets are the service's credential: lines username=, password=
    (e-mail), token=, url= (webhook).
    """
    from appliance.status.messages import Route, read_secrets, send

    how = salvage(config_path)[0].signal
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    route = Route(how.name or os.uname().nodename, how.webhook, how.mail_server, how.mail_from, how.mail_to)
    failures = send(note.read_text("utf-8").strip(), route, read_secrets(Path(folder) if folder else None))
    for failure in failures:
        click.echo(failure, err=True)
    sys.exit(1 if failures else 0)


cli.add_command(bench)


def main() -> None:
    """The console script."""
    cli()
