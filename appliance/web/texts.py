"""What the page says, in English and German. The English text is the key; {name} stands for a value.

The daemon's own sentences (a state's detail, why a file is left or refused) come in English with their values
in; they are found again by pattern.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from appliance.web.reasons import REASONS

Language = Literal["en", "de"]
LANGUAGES: Mapping[Language, str] = {"en": "English", "de": "Deutsch"}

NARROW, FIXED = "\u202f", "\u00a0"
"""A narrow and a common space that do not break."""


@dataclass(frozen=True)
class Said:
    """A text and the language it came out in: what has no translation stays English."""

    text: str
    language: Language


class Words:
    """The page's texts and numbers in one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def __call__(self, text: str, **values: object) -> str:
        return self.said(text, **values).text

    def said(self, text: str, **values: object) -> Said:
        """Translate a text of the table, or one of the daemon's sentences."""
        if self.language == "de":
            if text in GERMAN:
                return Said(_filled(GERMAN[text], values), "de")
            for known, german in SENTENCES:
                if found := known.fullmatch(text):
                    return Said(_filled(german, found.groupdict()), "de")
        return Said(_filled(text, values), "en")

    def decimal(self, number: float, digits: int = 1) -> str:
        text = f"{number:.{digits}f}"
        return text.replace(".", ",") if self.language == "de" else text

    def count(self, number: int) -> str:
        """12345 → "12 345"."""
        return f"{number:,}".replace(",", NARROW)

    def share(self, share: float) -> str:
        """0..1 in percent; what is not nothing is not shown as nothing."""
        return f"<{FIXED}{self.decimal(0.1)}{FIXED}%" if 0 < share < 0.0005 else f"{self.decimal(100 * share)}{FIXED}%"

    def size(self, bytes_: int) -> str:
        return f"{self.decimal(bytes_ / 1e12)}{FIXED}TB" if bytes_ >= 1e12 else f"{self.decimal(bytes_ / 1e9)}{FIXED}GB"

    def took(self, milliseconds: int) -> str:
        return f"{milliseconds}{FIXED}ms" if milliseconds < 1000 else f"{self.decimal(milliseconds / 1000)}{FIXED}s"

    def span(self, seconds: float) -> str:
        """A length of time in the largest unit of which there are two: "4 s", "12 min", "3 h", "2 days"."""
        for unit, length in ((self("days"), 86400), ("h", 3600), ("min", 60)):
            if seconds >= 2 * length:
                return f"{seconds // length:.0f}{FIXED}{unit}"
        return f"{max(seconds, 0):.0f}{FIXED}s"

    def left(self, seconds: float | None) -> str:
        """How long it may still take, rounded up so that it is rather sooner over."""
        if seconds is None:
            return ""
        if seconds < 60:
            return self("less than a minute left")
        minutes = -(-int(seconds) // 60)
        time_left = f"{minutes}{FIXED}min" if minutes < 120 else f"{-(-minutes // 60)}{FIXED}h"
        return self("about {time} left", time=time_left)

    def clock(self, at: float) -> str:
        """A Unix time as the box's own date and time."""
        return time.strftime("%d.%m.%Y %H:%M" if self.language == "de" else "%Y-%m-%d %H:%M", time.localtime(at))

    def time(self, at: float, now: float) -> str:
        """The time alone when it is of today."""
        today = time.localtime(at)[:3] == time.localtime(now)[:3]
        return time.strftime("%H:%M:%S", time.localtime(at)) if today else self.clock(at)


def iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at))


def _filled(text: str, values: Mapping[str, object]) -> str:
    """Only with values: a text of the daemon's may hold braces of its own."""
    return text.format_map(values) if values else text


GERMAN: Mapping[str, str] = {
    # headlines
    "Starting": "Startet",
    "Ready": "Bereit",
    "Working": "Arbeitet",
    "Safe to remove": "Abziehen erlaubt",
    "Waiting for space": "Wartet auf Speicherplatz",
    "Waiting for share": "Wartet auf Netzordner",
    "Needs attention": "Braucht Hilfe",
    "Stopped": "Angehalten",
    "No connection": "Keine Verbindung",
    # what they mean
    "The box is getting ready.": "Die Box macht sich bereit.",
    "Drop pictures into the folder.": "Legen Sie Bilder in den Ordner.",
    "Pictures are being de-identified.": "Bilder werden de-identifiziert.",
    "You can pull the stick.": "Sie können den Stick abziehen.",
    "The disk is nearly full. Make room; the box goes on by itself.": (
        "Der Speicher ist fast voll. Schaffen Sie Platz; die Box macht von selbst weiter."
    ),
    "The network folder cannot be reached. Nothing is lost; the box goes on by itself when it is back.": (
        "Der Netzordner ist nicht erreichbar. Nichts ist verloren; die Box macht von selbst weiter, sobald er wieder da ist."
    ),
    "One folder is one examination, until nothing came into it for a while; so is what lies in no folder.": (
        "Ein Ordner ist eine Untersuchung, bis eine Weile nichts mehr hineinkam; ebenso, was in keinem Ordner liegt."
    ),
    "Somebody must look after the box.": "Jemand muss nach der Box sehen.",
    "The box was shut down. Nothing is lost; it goes on when it is started again.": (
        "Die Box wurde heruntergefahren. Nichts ist verloren; sie macht weiter, wenn sie wieder startet."
    ),
    "This page cannot reach the box. Is it switched on, and are you on its network?": (
        "Diese Seite erreicht die Box nicht. Ist sie eingeschaltet, und sind Sie in ihrem Netz?"
    ),
    # the work in hand
    "Progress": "Fortschritt",
    "{done} of {total} pictures": "{done} von {total} Bildern",
    "less than a minute left": "noch weniger als eine Minute",
    "about {time} left": "noch etwa {time}",
    # counts
    "Pictures": "Bilder",
    "Waiting": "Wartend",
    "In work": "In Arbeit",
    "Done today": "Heute fertig",
    "Quarantined today": "Heute in Quarantäne",
    "Done ever": "Insgesamt fertig",
    "Quarantined ever": "Insgesamt in Quarantäne",
    "Pictures a minute": "Bilder pro Minute",
    # sticks and shares
    "Sticks and network folders": "Sticks und Netzordner",
    "Stick {number}": "Stick {number}",
    "Being read. Do not pull it.": "Wird gelesen. Nicht abziehen.",
    "{done} of {total}. Do not pull it.": "{done} von {total}. Nicht abziehen.",
    "Safe to remove.": "Abziehen erlaubt.",
    "Pulled too early: {done} of {total}. Plug it in again; nothing is lost.": (
        "Zu früh abgezogen: {done} von {total}. Stecken Sie ihn wieder ein; nichts ist verloren."
    ),
    "Cannot be read. Try another stick, or format it as FAT32, exFAT or ext4.": (
        "Nicht lesbar. Nehmen Sie einen anderen Stick, oder formatieren Sie ihn als FAT32, exFAT oder ext4."
    ),
    "Results are being written onto it. Do not pull it.": "Ergebnisse werden darauf geschrieben. Nicht abziehen.",
    "Not all results fit onto it. They are on the box; you can pull the stick.": (
        "Nicht alle Ergebnisse passen darauf. Sie liegen auf der Box; Sie können den Stick abziehen."
    ),
    "Results could not be written onto it. They are on the box.": (
        "Ergebnisse konnten nicht darauf geschrieben werden. Sie liegen auf der Box."
    ),
    "Done before: {count}.": "Schon fertig: {count}.",
    "Unreadable: {count}. The stick may be worn.": "Nicht lesbar: {count}. Der Stick ist womöglich verschlissen.",
    "Not released, and still on the stick: {kinds}.": "Nicht freigegeben, liegt weiter auf dem Stick: {kinds}.",
    "text": "Text",
    "thumbnail database": "Vorschaudatenbank",
    "recycle bin": "Papierkorb",
    "system folder": "Systemordner",
    "side file": "Begleitdatei",
    "hidden or temporary": "versteckt oder vorläufig",
    "DICOM": "DICOM",
    "XML or HTML": "XML oder HTML",
    "PDF": "PDF",
    "video": "Video",
    "other": "anderes",
    "Drop folder on the network: connected.": "Eingangsordner im Netz: verbunden.",
    "Drop folder on the network: not reachable.": "Eingangsordner im Netz: nicht erreichbar.",
    "Results folder on the network: connected.": "Ergebnisordner im Netz: verbunden.",
    "Results folder on the network: not reachable.": "Ergebnisordner im Netz: nicht erreichbar.",
    # what stays in the drop folder
    "Left in the drop folder": "Liegen geblieben",
    "The box does not touch these. Put them right or take them out of the drop folder.": (
        "Diese Dateien rührt die Box nicht an. Berichtigen Sie sie, oder nehmen Sie sie aus dem Eingangsordner."
    ),
    # quarantine
    "In quarantine": "In Quarantäne",
    "These files were not released. They are kept in the quarantine folder under these numbers; the latest come first.": (
        "Diese Dateien wurden nicht freigegeben. Sie liegen unter diesen Nummern im Quarantäneordner; die neuesten zuerst."
    ),
    "No file was refused lately.": "Zuletzt wurde keine Datei abgelehnt.",
    "The next of them is removed on {date}.": "Die nächste davon wird am {date} entfernt.",
    "What to do:": "Was tun:",
    "1 file": "1 Datei",
    "{count} files": "{count} Dateien",
    "Not a picture this box handles": "Kein Bild, das die Box kennt",
    "Export it as JPEG, PNG, BMP or TIFF and drop it again.": "Exportieren Sie es als JPEG, PNG, BMP oder TIFF und legen Sie es neu ab.",
    "Damaged file": "Beschädigte Datei",
    "Export or copy the picture from its source again.": "Exportieren oder kopieren Sie das Bild neu von der Quelle.",
    "Cut-off file": "Unvollständige Datei",
    "Copy it again and let the copy finish before you pull the stick or close the connection.": (
        "Kopieren Sie sie neu, und warten Sie das Ende ab, bevor Sie den Stick abziehen oder die Verbindung trennen."
    ),
    "Larger than this box accepts": "Größer, als die Box annimmt",
    "Export it smaller, or ask for a higher limit in the box's configuration.": (
        "Exportieren Sie es kleiner, oder lassen Sie die Grenze in der Konfiguration der Box anheben."
    ),
    "Text may be left": "Text ist womöglich noch zu sehen",
    "Somebody must look at this picture. Do not pass it on: it may still show a name.": (
        "Jemand muss dieses Bild ansehen. Geben Sie es nicht weiter: Es kann noch einen Namen zeigen."
    ),
    "The result failed its check": "Das Ergebnis bestand die Prüfung nicht",
    "Drop it again. If it fails again, report its number to whoever looks after the box.": (
        "Legen Sie es neu ab. Scheitert es wieder, melden Sie die Nummer dem Betreuer der Box."
    ),
    "Took too long": "Dauerte zu lange",
    "Drop it again when the box is idle. If it fails again, export it smaller.": (
        "Legen Sie es neu ab, wenn die Box nichts tut. Scheitert es wieder, exportieren Sie es kleiner."
    ),
    "Broke the reader": "Brachte das Leseprogramm zum Absturz",
    "The file is probably malformed. Export the picture from its source again.": (
        "Die Datei ist vermutlich fehlerhaft. Exportieren Sie das Bild neu von der Quelle."
    ),
    "Could not be read": "Nicht lesbar",
    "Check the file's permissions and the stick or share it came from, then copy it again.": (
        "Prüfen Sie die Rechte der Datei und den Stick oder Netzordner, von dem sie kam, und kopieren Sie sie neu."
    ),
    "Refused": "Abgelehnt",
    "Report its number to whoever looks after the box.": "Melden Sie die Nummer dem Betreuer der Box.",
    # the last hour
    "The last hour": "Die letzte Stunde",
    "Pictures by minute": "Bilder je Minute",
    "published": "fertig",
    "refused": "abgelehnt",
    "Time for one picture": "Zeit für ein Bild",
    "median": "Median",
    "slowest": "langsamstes",
    "Top of the chart: {value}": "Oberkante: {value}",
    "{done} published, {refused} refused in the last hour.": "{done} fertig, {refused} abgelehnt in der letzten Stunde.",
    "Last minute with pictures: median {median}, slowest {slowest}.": "Letzte Minute mit Bildern: Median {median}, langsamstes {slowest}.",
    "No picture in the last hour.": "Kein Bild in der letzten Stunde.",
    "an hour ago": "vor einer Stunde",
    "now": "jetzt",
    # the last pictures
    "The last pictures": "Die letzten Bilder",
    "White is where something was removed, in cells larger than any letter. The picture itself is never shown.": (
        "Weiß ist, wo etwas entfernt wurde, in Feldern größer als jeder Buchstabe. Das Bild selbst wird nie gezeigt."
    ),
    "No picture yet.": "Noch kein Bild.",
    "removed {share}": "entfernt {share}",
    "{pages} pages": "{pages} Seiten",
    # this box
    "This box": "Diese Box",
    "Last report": "Letzte Meldung",
    "{time} ago": "vor {time}",
    "days": "Tagen",
    "Running since": "Läuft seit",
    "Free disk": "Freier Speicher",
    "Clock": "Uhr",
    "Trusted: a time server keeps it.": "Vertrauenswürdig: Ein Zeitserver stellt sie.",
    "Not trusted: no time server keeps it. Times on this page may be wrong; the pictures do not depend on them.": (
        "Nicht vertrauenswürdig: Kein Zeitserver stellt sie. Zeiten auf dieser Seite können falsch sein; die Bilder hängen nicht davon ab."
    ),
    "Engine": "Rechenwerk",
    "Model": "Modell",
    "Device": "Gerät",
    "Runs": "Läuft",
    "Version": "Version",
    "Machine": "Rechner",
    "GPU": "GPU",
    "Hottest": "Am wärmsten",
    "Power": "Leistung",
    "Slowed down": "Gedrosselt",
    "Free memory": "Freier Arbeitsspeicher",
    "{now} of {highest} MHz": "{now} von {highest} MHz",
    "{free} of {total} MiB": "{free} von {total} MiB",
    "mode {mode}": "Modus {mode}",
    # around it
    "AnonBox removes text and hidden data from pictures. This page holds no picture and no file name.": (
        "AnonBox entfernt Text und versteckte Daten aus Bildern. Diese Seite enthält kein Bild und keinen Dateinamen."
    ),
    "Licences": "Lizenzen",
    "Back": "Zurück",
    "What this box is made of, and under which licences.": "Woraus diese Box besteht, und unter welchen Lizenzen.",
    "Software": "Software",
    "What the model was trained on": "Womit das Modell trainiert wurde",
    "licence text": "Lizenztext",
}

DAEMON: Mapping[str, str] = {
    # the page's own reading of the report
    "The box has not reported yet.": "Die Box hat sich noch nicht gemeldet.",
    "The box has never reported; see whether its daemon runs.": "Die Box hat sich nie gemeldet; sehen Sie nach, ob ihr Dienst läuft.",
    "The box's report cannot be read: {why}.": "Die Meldung der Box ist nicht lesbar: {why}.",
    "The box's report is damaged; restart the box.": "Die Meldung der Box ist beschädigt; starten Sie die Box neu.",
    "The box has not reported for {age} s; restart it.": "Die Box hat sich seit {age} s nicht gemeldet; starten Sie sie neu.",
    "The box's clock went back; wait, or restart the box.": "Die Uhr der Box ging zurück; warten Sie, oder starten Sie die Box neu.",
    # errors.py, redactor/client.py
    "The configuration cannot be used: {key} {problem}. Correct it, then restart the box.": (
        "Die Konfiguration ist nicht verwendbar: {key} {problem}. Berichtigen Sie sie, dann starten Sie die Box neu."
    ),
    "The box cannot start: {why}. Restart it; if that does not help, its log says more.": (
        "Die Box kann nicht starten: {why}. Starten Sie sie neu; hilft das nicht, sagt ihr Protokoll mehr."
    ),
    "Preparing the network; the first time this takes long{so_far}.": (
        "Das Netz wird vorbereitet; beim ersten Mal dauert das länger{so_far}."
    ),
    # daemon/loop.py, daemon/state.py
    "The drop folder (folders.inbox) cannot be read: {why}; it goes on when it is back.": (
        "Der Eingangsordner (folders.inbox) ist nicht lesbar: {why}; es geht weiter, sobald er wieder da ist."
    ),
    "A picture has been in work for too long; the redactor hangs.": "Ein Bild ist zu lange in Arbeit; das Schwärzen hängt.",
    "The redactor keeps failing: {why}.": "Das Schwärzen schlägt immer wieder fehl: {why}.",
    "The disk failed while a result was written; it is tried again.": (
        "Der Speicher versagte, als ein Ergebnis geschrieben wurde; es wird noch einmal versucht."
    ),
    "A stick cannot be read; its file system must be FAT32, exFAT or ext4 and whole.": (
        "Ein Stick ist nicht lesbar; sein Dateisystem muss FAT32, exFAT oder ext4 und unbeschädigt sein."
    ),
    "A stick was pulled too early; plug it in again: what is missing is read then.": (
        "Ein Stick wurde zu früh abgezogen; stecken Sie ihn wieder ein: Was fehlt, wird dann gelesen."
    ),
    "Results do not fit onto a stick; they are on the box. Make room on the stick and plug it in again.": (
        "Ergebnisse passen nicht auf einen Stick; sie liegen auf der Box. Schaffen Sie dort Platz und stecken Sie ihn wieder ein."
    ),
    "Results could not be written onto a stick; they are on the box.": (
        "Ergebnisse konnten nicht auf einen Stick geschrieben werden; sie liegen auf der Box."
    ),
    "Less than {mib} MiB free; make room, it goes on by itself.": (
        "Weniger als {mib} MiB frei; schaffen Sie Platz, es geht von selbst weiter."
    ),
    "The journal was damaged and moved aside; numbers go on above the old ones, counts begin anew.": (
        "Das Journal war beschädigt und wurde beiseitegelegt; die Nummern gehen über den alten weiter, die Zählung beginnt neu."
    ),
    "The journal was missing or older than the folders; numbers go on above the old ones, counts begin anew.": (
        "Das Journal fehlte oder war älter als die Ordner; die Nummern gehen über den alten weiter, die Zählung beginnt neu."
    ),
    "A folder of the box is full; make room, it goes on by itself.": (
        "Ein Ordner der Box ist voll; schaffen Sie Platz, es geht von selbst weiter."
    ),
    "The box cannot work: {why}. It is tried again.": "Die Box kann nicht arbeiten: {why}. Es wird noch einmal versucht.",
    # daemon/sinks/share.py
    "A result on the network share differs from the box's of the same number; move it away there.": (
        "Ein Ergebnis im Netzordner weicht von dem der Box mit derselben Nummer ab; verschieben Sie es dort."
    ),
    # daemon/sources/tree.py, daemon/sources/drop_folder.py: why a file is left
    "symbolic link: not followed": "symbolische Verknüpfung: wird nicht verfolgt",
    "not a regular file (socket, FIFO or device): not taken": "keine gewöhnliche Datei (Socket, FIFO oder Gerät): wird nicht genommen",
    "file with a second name (hard link): not taken": "Datei mit einem zweiten Namen (harte Verknüpfung): wird nicht genommen",
    "another file system mounted here: not entered": "hier ist ein anderes Dateisystem eingehängt: wird nicht betreten",
    "more than {count} folders deep: not entered": "mehr als {count} Ordner tief: wird nicht betreten",
    "folder that cannot be read: give user {user} the right to read and enter it": (
        "Ordner, der nicht lesbar ist: Geben Sie dem Benutzer {user} das Recht, ihn zu lesen und zu betreten"
    ),
    "no read permission: give user {user} the right to read it": "kein Leserecht: Geben Sie dem Benutzer {user} das Recht, sie zu lesen",
    "cannot be taken away: give user {user} the right to write to its folder": (
        "nicht wegzunehmen: Geben Sie dem Benutzer {user} das Recht, in ihren Ordner zu schreiben"
    ),
    "empty, or a header alone: taken once it is filled": "leer oder nur ein Dateikopf: wird genommen, sobald mehr darin ist",
    "larger than limits.file_mib: not taken": "größer als limits.file_mib: wird nicht genommen",
    "the box did a file of the same content before: not taken again": (
        "die Box hat eine Datei gleichen Inhalts schon bearbeitet: wird nicht noch einmal genommen"
    ),
    "recycle bin on the network share: patients' originals stay in it; switch it off or empty it": (
        "Papierkorb auf der Netzfreigabe: Originale von Patienten bleiben darin; schalten Sie ihn ab oder leeren Sie ihn"
    ),
    # status/health.py
    "too hot ({what})": "zu heiß ({what})",
    "too much current on {what}": "zu viel Strom auf {what}",
    "the GPU is busy but runs at {now} of {highest} MHz": "die GPU ist ausgelastet, läuft aber mit {now} von {highest} MHz",
}
"""Sentences that come with their values in."""


def pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(re.escape(part) if i % 2 == 0 else f"(?P<{part}>.*)" for i, part in enumerate(parts)), re.DOTALL)


SENTENCES = tuple((pattern(english), german) for english, german in {**DAEMON, **REASONS}.items())
