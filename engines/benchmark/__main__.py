"""The survival benchmark for redaction of endoscopy screens.

    python -m engines.benchmark make OUT                      draw it: OUT/images, OUT/ink, OUT/benchmark.json
    anonbox redact OUT/images --out DONE --masks MASKS        or anything else that gives masks
    python -m engines.benchmark peer rapidocr OUT MASKS       masks of a peer, installed in an environment of its own
    python -m engines.benchmark score OUT MASKS --as NAME     OUT/scores/NAME.json and a table
    python -m engines.benchmark report OUT                    all scores side by side, and contact sheets of the kinds

To take part: for every picture of OUT/images write one PNG of its size, STEM.png, 255 where something was removed and 0 elsewhere; then
`score`. Quote the version and the seed, which stand in benchmark.json, with the numbers; the same version and seed, faces and Pillow give
the same pictures. A piece of text of whose ink less than half is covered counts as readable, whatever it says.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engines.benchmark import VERSION, make, peers, report
from engines.benchmark.kinds import KINDS
from engines.benchmark.scoring import labels_of, score
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import FontBook, find_faces, system_faces


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="engines.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f"version {VERSION}"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("make", help="draw the pictures")
    one.add_argument("out", type=Path)
    one.add_argument("--count", type=int, default=8, help="pictures a kind (default 8)")
    one.add_argument("--seed", type=int, default=make.SEED, help=f"default {make.SEED}; another seed is another benchmark")
    one.add_argument("--kind", action="append", default=[], metavar="START", help="only kinds whose name starts so; may be repeated")
    one.add_argument("--fonts", type=Path, action="append", default=[], help="font folder (default: the machine's own fonts)")
    one.add_argument("--frames", type=Path, help="folder of frames without text (default: procedural scenes)")
    one = commands.add_parser("peer", help="masks of another detector")
    one.add_argument("name", choices=sorted(peers.PEERS))
    one.add_argument("benchmark", type=Path)
    one.add_argument("masks", type=Path)
    one.add_argument("--environments", type=Path, default=Path("runs/peers"), help="where peers are installed (default runs/peers)")
    one = commands.add_parser("score", help="count what survives under masks")
    one.add_argument("benchmark", type=Path)
    one.add_argument("masks", type=Path)
    one.add_argument("--as", dest="name", required=True, help="name in the report")
    one = commands.add_parser("report", help="all scores side by side")
    one.add_argument("benchmark", type=Path)
    args = parser.parse_args(arguments)
    if args.command == "make" and not 1 <= args.count <= 1000:
        parser.error(f"--count is {args.count}, must be 1 to 1000")
    if args.command != "make" and not (args.benchmark / "benchmark.json").is_file():
        parser.error(f"{args.benchmark} holds no benchmark.json; draw it first: python -m engines.benchmark make {args.benchmark}")
    return args


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    if args.command == "make":
        book = FontBook.of(find_faces(args.fonts) if args.fonts else system_faces())
        kinds = {name: draw for name, draw in KINDS.items() if not args.kind or name.startswith(tuple(args.kind))}
        if not kinds:
            sys.exit(f"no kind starts with {' or '.join(args.kind)}; there are {', '.join(KINDS)}")
        print(f"{make.make(args.out, kinds, book, Backgrounds.load(args.frames, None), args.count, args.seed)} pictures in {args.out}")
    elif args.command == "peer":
        peers.run(args.name, args.benchmark / "images", args.masks, args.environments)
    elif args.command == "score":
        rows = [row.summary() for row in score(args.benchmark, args.masks)]
        labels = labels_of(args.benchmark)
        path = args.benchmark / "scores" / f"{args.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"version": labels["version"], "seed": labels["seed"], "kinds": rows}, indent=1) + "\n", "utf-8")
        print(report.table({args.name: rows}))
    else:
        print(report.write(args.benchmark))


if __name__ == "__main__":
    main()
