"""What overlays say: labels with and without values, names, dates, times, identifiers, numbers, other scripts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LABELS = (
    "ID:", "ID No.:", "Name:", "NAME", "ID", "Sex:", "Age:", "Sex: Age:", "AGE  SEX", "D.O.B.:", "D.O.Birth:", "DOB", "Comment:",
    "COMMENT", "Physician:", "Facility", "Dr.", "Hospital:", "Pat.-Nr.:", "Geb.:", "Geschlecht:", "Fødselsdato:", "Navn:",
    "Untersucher:", "Patient:", "Procedure:", "Exam No.", "Acc#", "MRN:", "Date:", "Time:", "Station:", "Gender:", "Room", "Case:",
)  # fmt: skip
STATES = (
    "ON", "OFF", "AUTO", "FRZ", "REC", "LW", "WB", "NR", "HT", "NBI", "WLI", "LCI", "BLI", "AFI", "TXI", "M", "F", "MED", "LOW",
    "PEAK", "AVE", "Near", "CF-IR", "Check USB Memory", "Recording", "No Signal", "READY", "FREEZE", "Zoom", "GAIN", "IRIS",
    "Max", "OK", "C2", "C1", "A", "B", "R", "L", "CINE", "PWR", "dB", "HD", "L+", "mm", "cm", "OT", "N", "x1", "i-scan", "SE", "TE",
    "LYMPH NODE", "POLYP", "STOMACH", "ANTRUM", "CECUM", "RIGHT", "LEFT", "SIN", "DEX", "PRINT", "USB", "EJECT", "CO2", "LIGHT",
)  # fmt: skip
MODELS = ("GIF-", "CF-", "PCF-", "EG-", "EC-", "ED-", "BF-", "VP-", "BL-", "XL-", "CLV-", "EPK-i", "ENF-", "URF-", "LTF-", "MAJ-")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ONSETS = tuple("b br c ch d dr f fr g gr h j k kl l m n p r s sch st t th v w z".split())  # noqa: SIM905
VOWELS = tuple("a e i o u ai ei ie au ä ö ü é ø å".split())  # noqa: SIM905
CODAS = ("", "n", "r", "s", "l", "t", "nd", "rt", "ck", "mann", "sen", "son", "er", "berg", "ñ", "ß")
SYMBOLS = "!#%&()*+,-./:;<=>?@[]_"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
SCRIPTS = (
    "ΑΒΓΔΕΖΗΘΚΛΜΝΠΡΣΤΦΧΨΩαβγδεζηθκλμνπρστφχψω",
    "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯабвгдежзиклмнопрстуфхцчшщыэюя",
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年山田李王張陳林黄佐藤鈴木高橋病院",
    "アイウエオカキクケコサシスセソタチツテトナニヌネノあいうえおかきくけこさしすせそ",
    "김이박최정강조윤장임한오서신권황안송류홍",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "अआइउएकखगघचजटडतथदधनपबभमयरलवशसह",
    "กขคงจชซญดตถทธนบปผพฟมยรลวสหอ",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "অআইএকখগঘচজটডতথদধনপবভমযরলশসহ",
    "அஆஇஎகஙசஞடணதநபமயரலவழளறன",
)


def pick(rng: np.random.Generator, items: tuple[str, ...] | list[str] | str) -> str:
    """One of `items`, each as likely."""
    return items[int(rng.integers(len(items)))]


def some(rng: np.random.Generator, letters: str, low: int, high: int) -> str:
    """low..high characters drawn from `letters`."""
    return "".join(pick(rng, letters) for _ in range(int(rng.integers(low, high + 1))))


def surname(rng: np.random.Generator) -> str:
    """A made-up name of one to three syllables."""
    parts = [pick(rng, ONSETS) + pick(rng, VOWELS) + pick(rng, CODAS) for _ in range(int(rng.integers(1, 4)))]
    return "".join(parts).capitalize()


def person(rng: np.random.Generator) -> str:
    first, last = surname(rng), surname(rng)
    return pick(rng, [f"{last.upper()}, {first}", f"{first} {last}", f"{last} {first[0]}.", last.upper(), f"Dr. {last}", f"{last}^{first}"])


def date(rng: np.random.Generator) -> str:
    year, month, day = int(rng.integers(1930, 2031)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    sep, name = pick(rng, "/-. "), MONTHS[month - 1]
    if rng.random() < 0.3:
        name = name.upper()
    return pick(rng, [
        f"{day:02}{sep}{month:02}{sep}{year}", f"{year}{sep}{month:02}{sep}{day:02}", f"{month:02}{sep}{day:02}{sep}{year}",
        f"{day:02}{sep}{name}{sep}{year}", f"{name}/{day:02}/{year}", f"{day}{sep}{month}{sep}{year % 100:02}",
        f"{year}{month:02}{day:02}", f"/{month:02}/{year}", f"--{sep}--{sep}{year}", f"__{sep}__{sep}____",
    ])  # fmt: skip


def clock(rng: np.random.Generator) -> str:
    hour, minute, second = int(rng.integers(24)), int(rng.integers(60)), int(rng.integers(60))
    return pick(rng, [
        f"{hour:02}:{minute:02}:{second:02}", f"{hour}:{minute:02}", f"<{hour % 3:02}:{minute:02}:{second:02}>",
        f"{minute:03}:{second:02}", f"{hour % 12}:{minute:02} {'AP'[hour // 12]}M", f"{hour:02}.{minute:02}.{second:02}",
    ])  # fmt: skip


def setting(rng: np.random.Generator) -> str:
    key = pick(rng, ["CVP", "SCV", "Ct", "Eh", "EH", "CE", "Z", "C", "D.F", "S", "Br", "Gn", "WB", "MI", "TIS", "Lv", "Cm", "E"])
    value = pick(rng, [str(rng.integers(10)), pick(rng, CAPITALS), pick(rng, "AB") + pick(rng, DIGITS), "1.0", "0.7", "N", "+5"])
    joint = pick(rng, [":", ": ", "=", " ", "-" * int(rng.integers(2, 9))])
    return f"{key}{joint}{value}" + (f"  {setting(rng)}" if rng.random() < 0.25 else "")


def identifier(rng: np.random.Generator) -> str:
    return pick(rng, [
        some(rng, DIGITS, 4, 10), some(rng, DIGITS + CAPITALS, 5, 11), pick(rng, MODELS) + some(rng, DIGITS + CAPITALS, 3, 6),
        f"No.{some(rng, DIGITS, 1, 5)}", f"#{some(rng, DIGITS, 3, 8)}", f"{some(rng, CAPITALS, 1, 3)}-{some(rng, DIGITS, 3, 7)}",
        f"{some(rng, DIGITS, 6, 6)}-{some(rng, DIGITS, 4, 5)}", f"Ex:{some(rng, CAPITALS, 2, 2)}{some(rng, DIGITS, 8, 12)}",
    ])  # fmt: skip


def number(rng: np.random.Generator) -> str:
    """One to four characters: what is missed most easily."""
    a, b = int(rng.integers(10)), int(rng.integers(100))
    return pick(rng, [
        str(a), str(b), str(a), str(b), f"{a}.{b % 10}", f"{b / 10:.1f}", f"{a}/{b}", f"1/{b}0", f"+1/{a}00", f"+{a}", f"x{a}.{b % 10}",
        f"{b}%", f"{a}{pick(rng, CAPITALS)}", f"{pick(rng, CAPITALS)}{a}", f"-{a}", f"({a}/{b % 10})", f"{b}Hz", f"{a}:",
    ])  # fmt: skip


def digits(rng: np.random.Generator) -> str:
    """A bare counter: one or two digits, seldom three; the thin 1 is the hardest and the most frequent. Now and then a lone letter."""
    if rng.random() < 0.2:
        return pick(rng, CAPITALS)
    return some(rng, DIGITS + "11", 1, 2 if rng.random() < 0.85 else 3)


def label(rng: np.random.Generator) -> str:
    text = pick(rng, LABELS)
    if rng.random() < 0.2:
        text = text.upper()
    return text


def labelled(rng: np.random.Generator) -> str:
    kinds = (person, identifier, date, number, state, clock)
    value = kinds[int(rng.integers(len(kinds)))](rng)
    return f"{label(rng)}{pick(rng, ['', ' ', '  '])}{value}"


def state(rng: np.random.Generator) -> str:
    text = pick(rng, STATES)
    return text.capitalize() if rng.random() < 0.1 else text


def short(rng: np.random.Generator) -> str:
    """Two or three letters."""
    letters = pick(rng, [CAPITALS, CAPITALS.lower(), CAPITALS + DIGITS])
    return some(rng, letters, 2, 3) + pick(rng, ["", "", ":", "."])


def noise(rng: np.random.Generator) -> str:
    """The study's content: random ASCII symbols of random length."""
    letters = CAPITALS + CAPITALS.lower() + DIGITS + SYMBOLS
    return " ".join(some(rng, letters, 1, 9) for _ in range(int(rng.integers(1, 4))))


def sentence(rng: np.random.Generator) -> str:
    words = [surname(rng).lower() for _ in range(int(rng.integers(2, 6)))]
    return " ".join(words).capitalize()


KINDS: tuple[tuple[Callable[[np.random.Generator], str], float], ...] = (
    (label, 0.13), (labelled, 0.12), (person, 0.08), (date, 0.11), (clock, 0.09), (setting, 0.09), (identifier, 0.1),
    (number, 0.13), (state, 0.08), (short, 0.06), (digits, 0.09), (noise, 0.06), (sentence, 0.03),
)  # fmt: skip
_WEIGHTS = np.cumsum([weight for _, weight in KINDS]) / sum(weight for _, weight in KINDS)


def phrase(rng: np.random.Generator) -> str:
    """One line of an overlay in Latin script."""
    return KINDS[int(np.searchsorted(_WEIGHTS, rng.random()))][0](rng)


def foreign(rng: np.random.Generator, script: int) -> str:
    """One to three words in script number `script` of SCRIPTS."""
    return " ".join(some(rng, SCRIPTS[script], 1, 6) for _ in range(int(rng.integers(1, 4))))
