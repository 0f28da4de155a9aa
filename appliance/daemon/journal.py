"""The journal: what became of every picture, by number. It holds no name and no path of the drop folder.

SQLite in WAL mode with synchronous=FULL: when a method returns, a power cut does not undo what it did. Every method is one
transaction, and any thread may call it.

A picture's state goes one way:
    claimed    it has a number; its file is on the way into work/ or there
    published  the result is durable in out/; the original is still in work/
    kept       the original is in done/; finished once the retention is over
    finished   the original is gone
    refused    claimed before; on the way into quarantine/ or there
    discarded  it was in quarantine/ for as long as configured, and is gone
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from appliance.errors import BAD_FILE_CODES, BadConfig, BadFile, BadFileCode
from appliance.status.snapshot import Refused
from appliance.system import files
from appliance.system.clock import Mark

State = Literal["claimed", "published", "kept", "finished", "refused", "discarded"]
STATES: tuple[State, ...] = get_args(State)
DONE: tuple[State, ...] = ("published", "kept", "finished")
REFUSED: tuple[State, ...] = ("refused", "discarded")

Loss = Literal["", "damaged", "older"]

VERSION = 1
"""PRAGMA user_version of the schema below."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS exam (number INTEGER PRIMARY KEY, key BLOB, claimed_age REAL NOT NULL);
CREATE INDEX IF NOT EXISTS exam_key ON exam (key) WHERE key IS NOT NULL;
CREATE TABLE IF NOT EXISTS picture (
    exam INTEGER NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
    at REAL, age REAL, code TEXT, reason TEXT,
    PRIMARY KEY (exam, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS picture_state ON picture (state, at);
CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, exam INTEGER NOT NULL, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_as ON seen (exam, number);
CREATE TABLE IF NOT EXISTS mark (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT, monotonic REAL, wall REAL, age REAL);
"""
# seen: pictures of sticks, by a keyed hash of place and content, so that one plugged in again brings nothing twice
# picture.at: wall clock when published or refused, Unix seconds. picture.age: of the box when the original came into done/ or quarantine/

_ID = re.compile(r"E([0-9]{6,})[-/]([0-9]{4,})", re.ASCII)


@dataclass(frozen=True, order=True)
class Number:
    """A picture's number: the examination's, and its own within it."""

    exam: int
    picture: int

    @property
    def folder(self) -> str:
        return f"E{self.exam:06d}"

    @property
    def name(self) -> str:
        return f"{self.picture:04d}"

    @property
    def id(self) -> str:
        """As a single file name."""
        return f"{self.folder}-{self.name}"

    def __str__(self) -> str:
        return f"{self.folder}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Number | None:
        """From E000123-0001 or E000123/0001; None when it is neither."""
        found = _ID.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Counts:
    """Pictures: published since midnight, ever and in the last minute; refused since midnight and ever."""

    done_today: int
    done_ever: int
    last_minute: int
    refused_today: int
    refused_ever: int


class Journal:
    """One open journal.

    loss : "damaged": a broken one was found and moved aside; "older": it knew less than the folders show, or than was noted beside it
    noted : the highest examination that was ever begun, from a file of its own: what an older copy of the journal does not know
    """

    def __init__(self, path: Path) -> None:
        """Open or begin the journal. Raises BadConfig when a newer version wrote it, sqlite3.Error or OSError when the disk fails."""
        self._lock = threading.Lock()
        self._renumbered: dict[Number, Number] = {}
        self._note_path = path.with_name("numbers")
        self.noted = _read_note(self._note_path)
        self.loss: Loss = ""
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, or no access: nothing says that it is broken
            _move_aside(path)
            self.loss = "damaged"
            self._db = _open(path)
        try:
            self._count_all()
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def claim(self, key: bytes, age: float, idle_s: float, seen: bytes | None = None) -> Number:
        """Give the next number in the examination `key` stands for; a new examination when that was untouched for idle_s.

        seen : what `number_of` knows this number by from now on, until the claim is taken back
        """
        with self._transaction() as db:
            row = db.execute("SELECT number FROM exam WHERE key = ? AND claimed_age > ?", (key, age - idle_s)).fetchone()
            if row:
                exam = int(row[0])
                db.execute("UPDATE exam SET claimed_age = ? WHERE number = ?", (age, exam))
            else:
                db.execute("UPDATE exam SET key = NULL WHERE key = ?", (key,))
                exam = int(db.execute("SELECT coalesce(max(number), 0) + 1 FROM exam").fetchone()[0])
                db.execute("INSERT INTO exam VALUES (?, ?, ?)", (exam, key, age))
            picture = int(db.execute("SELECT coalesce(max(number), 0) + 1 FROM picture WHERE exam = ?", (exam,)).fetchone()[0])
            db.execute("INSERT INTO picture (exam, number, state) VALUES (?, ?, 'claimed')", (exam, picture))
            if seen is not None:
                db.execute("INSERT INTO seen VALUES (?, ?, ?)", (seen, exam, picture))
        if exam > self.noted:
            self._note(exam)
        return Number(exam, picture)

    def renumber(self, number: Number, above: int, age: float) -> Number:
        """A claimed picture's new number, in an examination of its own above all others; its old one is somebody else's."""
        with self._transaction() as db:
            exam = max(above, self.noted, int(db.execute("SELECT coalesce(max(number), 0) FROM exam").fetchone()[0])) + 1
            db.execute("INSERT INTO exam VALUES (?, NULL, ?)", (exam, age))
            for table in ("picture", "seen"):
                change = f"UPDATE {table} SET exam = ?, number = 1 WHERE exam = ? AND number = ?"  # noqa: S608 constants only
                db.execute(change, (exam, number.exam, number.picture))
            self._renumbered[number] = Number(exam, 1)
        self._note(exam)
        return Number(exam, 1)

    def current(self, number: Number) -> Number:
        """The number of a picture that this process gave this one."""
        while number in self._renumbered:
            number = self._renumbered[number]
        return number

    def _note(self, exam: int) -> None:
        """Before anything is published under its number: what was moved out of out/ may be known nowhere else."""
        files.write_whole(self._note_path, b"%d\n" % exam)
        self.noted = exam

    def number_of(self, key: bytes) -> Number | None:
        """The number that a picture got that was seen before."""
        row = self._row("SELECT exam, number FROM seen WHERE key = ?", key)
        return Number(*row) if row else None

    def forget(self, number: Number) -> None:
        """Take a claim back whose file never left the drop folder; its number is free again. One that is past that stays as it is."""
        with self._transaction() as db:
            row = (number.exam, number.picture)
            if db.execute("DELETE FROM picture WHERE exam = ? AND number = ? AND state = 'claimed'", row).rowcount:
                db.execute("DELETE FROM seen WHERE exam = ? AND number = ?", row)
            empty = "DELETE FROM exam WHERE number = ? AND NOT EXISTS (SELECT 1 FROM picture WHERE exam = exam.number)"
            is_gone = db.execute(empty, (number.exam,)).rowcount
            if is_gone and number.exam == self.noted:
                self._note(number.exam - 1)  # its number is free again

    def published(self, number: Number, at: float) -> None:
        """claimed -> published. Only after the result is durable in out/."""
        moved = self._change(number, "claimed", "state = 'published', at = ?", at)
        with self._lock:
            self._done_ever += moved

    def kept(self, number: Number, age: float) -> None:
        """published -> kept."""
        self._change(number, "published", "state = 'kept', age = ?", age)

    def finished(self, number: Number) -> None:
        """published or kept -> finished."""
        self._change(number, "published", "state = 'finished'")
        self._change(number, "kept", "state = 'finished'")

    def refused(self, number: Number, error: BadFile, at: float, age: float) -> None:
        """claimed -> refused. Before the file is moved, so that a crash in between is finished at the next start."""
        change = "state = 'refused', code = ?, reason = ?, at = ?, age = ?"
        moved = self._change(number, "claimed", change, error.code, error.reason, at, age)
        with self._lock:
            self._refused_ever += moved

    def discarded(self, number: Number) -> None:
        """refused -> discarded."""
        self._change(number, "refused", "state = 'discarded'")

    def adopt(self, numbers: Iterable[Number], state: State, age: float) -> None:
        """Enter pictures that are on the disk but not here, because an earlier journal broke. Their examinations take no more."""
        with self._transaction() as db:
            for number in numbers:
                db.execute("INSERT OR IGNORE INTO exam VALUES (?, NULL, ?)", (number.exam, age))
                row = (number.exam, number.picture, state, age)
                db.execute("INSERT OR IGNORE INTO picture (exam, number, state, age) VALUES (?, ?, ?, ?)", row)
        self._count_all()

    def begin_above(self, exam: int, age: float) -> None:
        """Number new examinations above `exam`, whatever is known here."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO exam VALUES (?, NULL, ?)", (exam, age))
        self.loss = self.loss or "older"

    def highest_exam(self) -> int:
        """The highest examination known here; 0 when there is none."""
        return self._count("SELECT coalesce(max(number), 0) FROM exam")

    def open_exams(self) -> dict[int, int]:
        """Examinations that still take pictures, each with the highest number in it."""
        query = "SELECT exam.number, coalesce(max(picture.number), 0) FROM exam LEFT JOIN picture ON picture.exam = exam.number"
        return dict(self._rows(f"{query} WHERE exam.key IS NOT NULL GROUP BY exam.number"))

    def date_refusals(self, age: float) -> None:
        """Have the retention of refused pictures of which no age is known, as earlier versions wrote them, begin now."""
        with self._transaction() as db:
            db.execute("UPDATE picture SET age = ? WHERE state = 'refused' AND age IS NULL", (age,))

    def close_examinations(self) -> None:
        """Every folder starts a new examination from here on."""
        with self._transaction() as db:
            db.execute("UPDATE exam SET key = NULL WHERE key IS NOT NULL")

    def state(self, number: Number) -> State | None:
        row = self._row("SELECT state FROM picture WHERE exam = ? AND number = ?", number.exam, number.picture)
        return next((state for state in STATES if row and state == row[0]), None)

    def refusal(self, number: Number) -> BadFile:
        """Why a picture was refused."""
        row = self._row("SELECT code, reason FROM picture WHERE exam = ? AND number = ?", number.exam, number.picture)
        code: BadFileCode = next((code for code in BAD_FILE_CODES if row and code == row[0]), "unreadable")
        return BadFile(code, str(row[1]) if row else "")

    def unsettled(self) -> list[tuple[Number, State]]:
        """Pictures whose original should be in work/: claimed and published ones."""
        rows = self._rows("SELECT exam, number, state FROM picture WHERE state IN ('claimed', 'published') ORDER BY exam, number")
        return [(Number(exam, picture), state) for exam, picture, state in rows]

    def kept_since(self, age: float, limit: int) -> list[Number]:
        """Originals that came into done/ at this age or before."""
        rows = self._rows("SELECT exam, number FROM picture WHERE state = 'kept' AND age <= ? LIMIT ?", age, limit)
        return [Number(*row) for row in rows]

    def refused_since(self, age: float, limit: int) -> list[Number]:
        """Pictures that were refused at this age or before and are still in quarantine/."""
        rows = self._rows("SELECT exam, number FROM picture WHERE state = 'refused' AND age <= ? LIMIT ?", age, limit)
        return [Number(*row) for row in rows]

    def oldest_refusal(self) -> float | None:
        """The age at which the picture was refused that is in quarantine/ for longest."""
        (age,) = self._rows("SELECT min(age) FROM picture WHERE state = 'refused'")[0]
        return None if age is None else float(age)

    def counts(self, now: float, midnight: float) -> Counts:
        """now, midnight : Unix seconds."""
        between = "SELECT count(*) FROM picture WHERE state = ? AND at BETWEEN ? AND ?"

        def done(since: float) -> int:
            return sum(self._count(between, state, since, now) for state in DONE)

        return Counts(
            done_today=done(midnight),
            done_ever=self._done_ever,
            last_minute=done(now - 60),
            refused_today=sum(self._count(between, state, midnight, now) for state in REFUSED),
            refused_ever=self._refused_ever,
        )

    def _count_all(self) -> None:
        """Count what was ever done; from then on it is counted along, as a count of a million rows holds up the lanes for 40 ms."""
        count = "SELECT count(*) FROM picture WHERE state = ?"
        self._done_ever = sum(self._count(count, state) for state in DONE)
        self._refused_ever = sum(self._count(count, state) for state in REFUSED)

    def newest_refused(self, limit: int) -> tuple[Refused, ...]:
        """The newest entries of the quarantine, newest first."""
        rows = self._rows("SELECT exam, number, code, reason, at FROM picture WHERE state = 'refused' ORDER BY at DESC LIMIT ?", limit)
        return tuple(Refused(str(Number(exam, picture)), code, reason, at) for exam, picture, code, reason, at in rows)

    def last_mark(self) -> Mark | None:
        row = self._row("SELECT boot, monotonic, wall, age FROM mark")
        return Mark(*row) if row else None

    def write_mark(self, mark: Mark) -> None:
        with self._transaction() as db:
            row = (mark.boot, mark.monotonic, mark.wall, mark.age)
            db.execute("INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?, ?)", row)

    def _change(self, number: Number, before: State, assignments: str, *values: str | float) -> int:
        """Move a picture on; one that is further already stays as it is, so that a step may be repeated. How many moved: 0 or 1."""
        with self._transaction() as db:
            statement = f"UPDATE picture SET {assignments} WHERE exam = ? AND number = ? AND state = ?"  # noqa: S608 constants only
            return db.execute(statement, (*values, number.exam, number.picture, before)).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.rollback()
                raise
            self._commit()

    def _commit(self) -> None:
        try:
            self._db.commit()
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._db.rollback()  # a full disk leaves the transaction open
            raise

    def _rows(self, query: str, *values: str | float | bytes) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _row(self, query: str, *values: str | float | bytes) -> tuple[Any, ...] | None:
        rows = self._rows(query, *values)
        return rows[0] if rows else None

    def _count(self, query: str, *values: str | float) -> int:
        return int(self._rows(query, *values)[0][0])


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite gives its side files the same rights
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("integrity check failed")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, VERSION):
            raise BadConfig("folders.state", f"its journal has version {version}, this program reads {VERSION}: install the newer one")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        db.close()
        raise
    return db


def _read_note(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _move_aside(path: Path) -> None:
    """Keep a broken journal for whoever wants to look at it, under the first free name."""
    number = 1
    while path.with_name(f"{path.name}.broken-{number}").exists():
        number += 1
    for ending in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(path.with_name(f"{path.name}.broken-{number}{ending}"))
