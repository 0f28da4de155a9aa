"""Why a file was refused, in German: the reasons of BadFile as the redactor and the daemon give them, {name} for a value in them.

What stands in brackets or after a colon may be a library's own words, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    # daemon, redactor
    "not a regular file": "keine gewöhnliche Datei",
    "the file cannot be opened: {why}": "die Datei lässt sich nicht öffnen: {why}",
    "the file cannot be read: {why}": "die Datei lässt sich nicht lesen: {why}",
    "the file changed while it was read": "die Datei änderte sich, während sie gelesen wurde",
    "the file vanished while it was in work": "die Datei verschwand, während sie in Arbeit war",
    "the file is empty": "die Datei ist leer",
    "the file begins with zeros, like one that is still being written": "die Datei beginnt mit Nullen wie eine, die noch geschrieben wird",
    "the file has {size} MiB, limit is {limit} MiB (limits.file_mib)": (
        "die Datei hat {size} MiB, die Grenze ist {limit} MiB (limits.file_mib)"
    ),
    "the redactor failed {tries} times on this picture": "das Schwärzen scheiterte {tries}-mal an diesem Bild",
    "the picture made the redactor crash; keep it for the maker of this box": (
        "das Bild brachte das Schwärzen zum Absturz; heben Sie es für den Hersteller der Box auf"
    ),
    "the picture took longer than {seconds} s (limits.job_s)": "das Bild dauerte länger als {seconds} s (limits.job_s)",
    "text was still seen after {looks} looks; look at the picture and cover the text by hand": (
        "nach {looks} Durchgängen war noch Text zu sehen; sehen Sie das Bild an und decken Sie den Text von Hand ab"
    ),
    # any picture
    "not a picture type this box handles (JPEG, PNG, BMP, TIFF, DICOM)": "keine Bildart, die die Box kennt (JPEG, PNG, BMP, TIFF, DICOM)",
    "the picture is transparent in places, where text could hide; save it without transparency": (
        "das Bild ist stellenweise durchsichtig, dort könnte Text verborgen sein; speichern Sie es ohne Transparenz"
    ),
    "the picture is {size}, {total} Mpx in all, the limit is {limit} Mpx": (
        "das Bild hat {size}, zusammen {total} Mpx, die Grenze ist {limit} Mpx"
    ),
    # the result's checks
    "a pixel outside the mask has changed": "ein Bildpunkt außerhalb der Maske hat sich geändert",
    "a pixel under the mask is not black": "ein Bildpunkt unter der Maske ist nicht schwarz",
    "the alpha channel has changed": "der Alphakanal hat sich geändert",
    "the palette has changed or holds colours that are not used": "die Palette hat sich geändert oder enthält unbenutzte Farben",
    "the pixels under the mask differ": "die Bildpunkte unter der Maske sind verschieden",
    "the finished file has another size, bit depth or mode": "die fertige Datei hat andere Maße, eine andere Bittiefe oder Farbart",
    "the finished file has {pages} pages, its source {before}": "die fertige Datei hat {pages} Seiten, ihre Quelle {before}",
    "the finished file holds more than the picture: a chunk, a tag, or bytes between or after": (
        "die fertige Datei enthält mehr als das Bild: einen Block, ein Feld oder Bytes dazwischen oder dahinter"
    ),
    "the finished file cannot be read: {why}": "die fertige Datei lässt sich nicht lesen: {why}",
    "encoding the turned picture anew put a pixel off by {off} of 255, the limit is {limit}": (
        "beim Neuspeichern des gedrehten Bildes wich ein Bildpunkt um {off} von 255 ab, die Grenze ist {limit}"
    ),
    "the finished JPEG differs from its source in component {component}, row of blocks {row}": (
        "das fertige JPEG weicht von der Quelle ab, in Komponente {component}, Blockzeile {row}"
    ),
    "the finished JPEG has another size, subsampling, colour space or quantisation": (
        "das fertige JPEG hat andere Maße, Unterabtastung, Farbraum oder Quantisierung"
    ),
    "the finished JPEG holds more than the picture: a marker, or bytes between or after": (
        "das fertige JPEG enthält mehr als das Bild: eine Marke oder Bytes dazwischen oder dahinter"
    ),
    "the finished JPEG: {why}": "das fertige JPEG: {why}",
    # JPEG
    "the JPEG is cut off: its end marker is missing": "das JPEG ist abgeschnitten: Die Endmarke fehlt",
    "the JPEG is cut off: {why}": "das JPEG ist abgeschnitten: {why}",
    "the JPEG is damaged: {why}": "das JPEG ist beschädigt: {why}",
    "the JPEG is {what}, baseline and progressive Huffman coding are handled": (
        "das JPEG ist {what}; die Box kennt einfache und progressive Huffman-Kodierung"
    ),
    "the JPEG's chroma subsampling is none of {known}": "die Farbunterabtastung des JPEG ist keine von {known}",
    "the JPEG's size is read in two ways by two parsers": "die Maße des JPEG lesen zwei Leseprogramme verschieden",
    "the JPEG's header says {size}": "der Kopf des JPEG nennt {size}",
    "the JPEG's frame header has a wrong length": "der Bildkopf des JPEG hat eine falsche Länge",
    "the JPEG changes a quantisation table between scans": "das JPEG wechselt eine Quantisierungstabelle zwischen zwei Durchläufen",
    "the JPEG does not begin with its start marker": "das JPEG beginnt nicht mit seiner Startmarke",
    "the JPEG has a broken quantisation table": "das JPEG hat eine fehlerhafte Quantisierungstabelle",
    "the JPEG has a broken scan header": "das JPEG hat einen fehlerhaften Durchlaufkopf",
    "the JPEG has a sampling factor outside 1..4": "das JPEG hat einen Abtastfaktor außerhalb von 1..4",
    "the JPEG has a second start marker inside": "das JPEG enthält eine zweite Startmarke",
    "the JPEG has a segment shorter than its own length field": "das JPEG hat ein Segment, das kürzer ist als sein Längenfeld",
    "the JPEG has more than {limit} segments": "das JPEG hat mehr als {limit} Segmente",
    "the JPEG has no picture data": "das JPEG hat keine Bilddaten",
    "the JPEG has two frame headers": "das JPEG hat zwei Bildköpfe",
    "the JPEG has {count} colour components (CMYK has 4), grey and colour with 3 are handled": (
        "das JPEG hat {count} Farbkomponenten (CMYK hat 4); die Box kennt Grau und Farbe mit 3"
    ),
    "the JPEG has {bits} bits a sample, 8 are handled": "das JPEG hat {bits} Bit je Abtastwert; die Box kennt 8",
    "the JPEG lacks a quantisation table": "dem JPEG fehlt eine Quantisierungstabelle",
    # PNG
    "the PNG does not begin with a header chunk": "das PNG beginnt nicht mit dem Kopfblock",
    "the PNG has a broken chunk header": "das PNG hat einen fehlerhaften Blockkopf",
    "the PNG has a chunk whose checksum is wrong": "das PNG hat einen Block mit falscher Prüfsumme",
    "the PNG has a critical chunk that the standard does not know": "das PNG hat einen kritischen Block, den der Standard nicht kennt",
    "the PNG has more than {limit} chunks": "das PNG hat mehr als {limit} Blöcke",
    "the PNG is animated, single pictures are handled": "das PNG ist animiert; die Box kennt Einzelbilder",
    "the PNG is cut off inside a chunk": "das PNG ist in einem Block abgeschnitten",
    "the PNG is cut off: its end chunk is missing": "das PNG ist abgeschnitten: Der Endblock fehlt",
    "the PNG's header is not valid: {width} x {height} px, colour type {kind}, {depth} bits": (
        "der Kopf des PNG ist ungültig: {width} x {height} px, Farbart {kind}, {depth} Bit"
    ),
    "the PNG's palette is missing or too short": "die Palette des PNG fehlt oder ist zu kurz",
    "the PNG's picture data cannot be decoded": "die Bilddaten des PNG lassen sich nicht dekodieren",
    "the PNG's transparency chunk has a wrong length": "der Transparenzblock des PNG hat eine falsche Länge",
    # BMP
    "the BMP has a header of {size} bytes, Windows headers of 40 to 124 are handled": (
        "das BMP hat einen Kopf von {size} Byte; die Box kennt Windows-Köpfe von 40 bis 124"
    ),
    "the BMP's pixels use entry {used} of a palette that has {known}: it is cut off, or its offset is wrong": (
        "die Bildpunkte des BMP benutzen Eintrag {used} einer Palette, die {known} hat: Sie ist abgeschnitten, oder ihr Ort ist falsch"
    ),
    "the BMP has an unusual order of colours; blue, green, red is handled": (
        "das BMP hat eine ungewöhnliche Farbfolge; die Box kennt Blau, Grün, Rot"
    ),
    "the BMP has {bits} bits a pixel; 1, 4, 8, 16, 24 and 32 are handled": (
        "das BMP hat {bits} Bit je Bildpunkt; die Box kennt 1, 4, 8, 16, 24 und 32"
    ),
    "the BMP of {bits} bits a pixel has compression {compression}, such as run lengths; none is handled": (
        "das BMP mit {bits} Bit je Bildpunkt hat Kompression {compression}, etwa Lauflängen; die Box kennt nur unkomprimierte"
    ),
    "the BMP is cut off inside its header": "das BMP ist im Kopf abgeschnitten",
    "the BMP is cut off: it has {size} bytes, its header asks for {needed}": (
        "das BMP ist abgeschnitten: Es hat {size} Byte, sein Kopf verlangt {needed}"
    ),
    "the BMP's header says {width} x {height} px in {planes} planes": "der Kopf des BMP nennt {width} x {height} px in {planes} Ebenen",
    "the BMP's pixels begin at byte {offset}, inside its header": "die Bildpunkte des BMP beginnen bei Byte {offset}, im Kopf",
    # TIFF
    "the file is a BigTIFF, TIFF 6.0 is handled": "die Datei ist ein BigTIFF; die Box kennt TIFF 6.0",
    "the TIFF does not say how long its strips or tiles are; save it again with another program": (
        "das TIFF sagt nicht, wie lang seine Streifen oder Kacheln sind; speichern Sie es mit einem anderen Programm neu"
    ),
    "the TIFF does not say its colour space": "das TIFF nennt seinen Farbraum nicht",
    "the TIFF has fax compression of a picture that is not black and white": (
        "das TIFF hat Fax-Kompression, ist aber kein Schwarzweißbild"
    ),
    "the TIFF has channels of different depths": "das TIFF hat Kanäle verschiedener Bittiefe",
    "the TIFF has JPEG inside in colour space {space}; grey, RGB and YCbCr are handled": (
        "das TIFF enthält JPEG im Farbraum {space}; die Box kennt Grau, RGB und YCbCr"
    ),
    "the TIFF has JPEG inside with {channels} channels, {known} are handled for its colour space": (
        "das TIFF enthält JPEG mit {channels} Kanälen; für seinen Farbraum kennt die Box {known}"
    ),
    "the TIFF has a palette and {channels} channels, 1 is handled": "das TIFF hat eine Palette und {channels} Kanäle; die Box kennt einen",
    "the TIFF has a page without width or height": "das TIFF hat eine Seite ohne Breite oder Höhe",
    "the TIFF has a tag of {number} values, the limit is {limit}": "das TIFF hat ein Feld mit {number} Werten, die Grenze ist {limit}",
    "the TIFF has colour space {space}; grey, RGB and palette are handled": (
        "das TIFF hat Farbraum {space}; die Box kennt Grau, RGB und Palette"
    ),
    "the TIFF has compression {compression}; none, LZW, deflate, PackBits, fax (2-4), JPEG (7) are handled": (
        "das TIFF hat Kompression {compression}; die Box kennt keine, LZW, Deflate, PackBits, Fax (2-4) und JPEG (7)"
    ),
    "the TIFF has no page": "das TIFF hat keine Seite",
    "the TIFF has predictor {predictor}; none, or horizontal differences of 8 or 16 bits, are handled": (
        "das TIFF hat Prädiktor {predictor}; die Box kennt keinen oder waagerechte Differenzen von 8 oder 16 Bit"
    ),
    "the TIFF has signed or floating-point samples, unsigned ones are handled": (
        "das TIFF hat Werte mit Vorzeichen oder Gleitkomma; die Box kennt vorzeichenlose"
    ),
    "the TIFF has tiles of {width} x {height} px, multiples of 16 are needed": (
        "das TIFF hat Kacheln von {width} x {height} px, nötig sind Vielfache von 16"
    ),
    "the TIFF has {bits} bits a sample; {known} are handled for its colour space": (
        "das TIFF hat {bits} Bit je Abtastwert; für seinen Farbraum kennt die Box {known}"
    ),
    "the TIFF has {channels} channels, {known} are handled for its colour space, or one more for alpha": (
        "das TIFF hat {channels} Kanäle; für seinen Farbraum kennt die Box {known}, oder einen mehr für Alpha"
    ),
    "the TIFF has {count} strips or tiles and {lengths} lengths": "das TIFF hat {count} Streifen oder Kacheln und {lengths} Längen",
    "the TIFF has {count} strips or tiles, {needed} are needed": "das TIFF hat {count} Streifen oder Kacheln, nötig sind {needed}",
    "the TIFF has tag {tag} twice": "das TIFF hat Feld {tag} zweimal",
    "the TIFF's strip or tile {index} has {size} bytes, {needed} are needed": (
        "Streifen oder Kachel {index} des TIFF hat {size} Byte, nötig sind {needed}"
    ),
    "the TIFF's strip or tile {index} holds {found}, {width} x {rows} are needed": (
        "Streifen oder Kachel {index} des TIFF enthält {found}, nötig sind {width} x {rows}"
    ),
    "the TIFF holds only reduced copies of a picture that is not in it": (
        "das TIFF enthält nur verkleinerte Kopien eines Bildes, das nicht darin ist"
    ),
    "the TIFF is cut off inside its header": "das TIFF ist im Kopf abgeschnitten",
    "the TIFF is cut off: it is shorter than its strips together": "das TIFF ist abgeschnitten: Es ist kürzer als seine Streifen zusammen",
    "the TIFF is cut off: it points beyond its end": "das TIFF ist abgeschnitten: Es verweist hinter sein Ende",
    "the TIFF stores bits in reverse order": "das TIFF speichert Bits in umgekehrter Folge",
    "the TIFF stores its colours in separate planes, one plane is handled": (
        "das TIFF speichert seine Farben in getrennten Ebenen; die Box kennt eine Ebene"
    ),
    "the TIFF's directories form a ring or are more than {limit}": (
        "die Verzeichnisse des TIFF bilden einen Ring oder sind mehr als {limit}"
    ),
    "the TIFF's pages share their strips": "die Seiten des TIFF teilen sich Streifen",
    "the TIFF's palette has {count} numbers, {needed} are needed": "die Palette des TIFF hat {count} Zahlen, nötig sind {needed}",
    "the TIFF's picture data cannot be decoded": "die Bilddaten des TIFF lassen sich nicht dekodieren",
    # DICOM
    "the DICOM file does not say what it is (it has no SOP Class UID)": (
        "die DICOM-Datei sagt nicht, was sie ist (ihr fehlt die SOP Class UID)"
    ),
    "the DICOM file is no picture or film that this box handles{more}": (
        "die DICOM-Datei ist kein Bild oder Film, mit dem die Box umgeht{more}"
    ),
    "the DICOM file is a film (MPEG-2, H.264 or HEVC), which this box does not handle": (
        "die DICOM-Datei ist ein Film (MPEG-2, H.264 oder HEVC), mit dem die Box nicht umgeht"
    ),
    "the DICOM file is cut off in its pixel data": "die DICOM-Datei ist in ihren Bilddaten abgeschnitten",
    "the DICOM file is cut off: its deflated data do not end": "die DICOM-Datei ist abgeschnitten: Ihre komprimierten Daten enden nicht",
    "the DICOM file is cut off: its pixel data have no end": "die DICOM-Datei ist abgeschnitten: Ihre Bilddaten haben kein Ende",
    "the DICOM file ends before its pixel data": "die DICOM-Datei endet vor ihren Bilddaten",
    "the DICOM file is deflated and becomes larger than {limit} MiB": "die DICOM-Datei ist komprimiert und wird größer als {limit} MiB",
    "the DICOM file is damaged: it does not say its {keyword}": "die DICOM-Datei ist beschädigt: Ihr fehlt die Angabe {keyword}",
    "the DICOM file is damaged: its File Meta Information has no length": (
        "die DICOM-Datei ist beschädigt: Ihre File Meta Information hat keine Länge"
    ),
    "the DICOM file is damaged: its pixel data are no row of items": (
        "die DICOM-Datei ist beschädigt: Ihre Bilddaten sind keine Folge von Items"
    ),
    "the DICOM file is damaged: {why}": "die DICOM-Datei ist beschädigt: {why}",
    "the DICOM file's sequences are nested more than {deep} deep": "die Sequenzen der DICOM-Datei sind mehr als {deep}-fach verschachtelt",
    "the DICOM file's sequences are nested without end": "die Sequenzen der DICOM-Datei sind ohne Ende verschachtelt",
    "the DICOM file has {bits} bits a sample in {allocated}; 2 to 16 in 8 or 16 are handled": (
        "die DICOM-Datei hat {bits} Bit je Abtastwert in {allocated}; die Box kennt 2 bis 16 in 8 oder 16"
    ),
    "the DICOM file has {frames} frames of {width} x {height} px, the limits are {one} Mpx a frame and {all} Mpx in all": (
        "die DICOM-Datei hat {frames} Bilder von {width} x {height} px, die Grenzen sind {one} Mpx je Bild und {all} Mpx insgesamt"
    ),
    "the DICOM file has {samples} samples a pixel, which do not fit its kind of colours": (
        "die DICOM-Datei hat {samples} Werte je Bildpunkt, was nicht zu ihrer Farbart passt"
    ),
    "the DICOM file says {frames} frames, its pixel data hold {found}": (
        "die DICOM-Datei nennt {frames} Bilder, ihre Bilddaten enthalten {found}"
    ),
    "the DICOM file says {width} x {height} px, {frames} frames": "die DICOM-Datei nennt {width} x {height} px, {frames} Bilder",
    "the DICOM file's RLE frame has {found} segments, {needed} are needed": (
        "das RLE-Bild der DICOM-Datei hat {found} Segmente, nötig sind {needed}"
    ),
    "the DICOM file's RLE frame is shorter than the picture": "das RLE-Bild der DICOM-Datei ist kürzer als das Bild",
    "the DICOM file's RLE frame is too short": "das RLE-Bild der DICOM-Datei ist zu kurz",
    "the DICOM file's colours (Photometric Interpretation) are of a kind that is not handled": (
        "die Farben der DICOM-Datei (Photometric Interpretation) sind von einer Art, mit der die Box nicht umgeht"
    ),
    "the DICOM file's colours are a codec's, its pixel data are not coded": (
        "die Farben der DICOM-Datei sind die eines Codecs, ihre Bilddaten sind nicht kodiert"
    ),
    "the DICOM file's colours are halved, its columns cannot be": (
        "die Farben der DICOM-Datei sind halbiert, ihre Spalten lassen sich nicht halbieren"
    ),
    "the DICOM file's colours have signs": "die Farben der DICOM-Datei haben Vorzeichen",
    "the DICOM file's palette has colours of different length": "die Palette der DICOM-Datei hat Farben verschiedener Länge",
    "the DICOM file's palette has no dark colour to cover text with": (
        "die Palette der DICOM-Datei hat keine dunkle Farbe, mit der sich Text verdecken lässt"
    ),
    "the DICOM file's palette is missing, or segmented": "die Palette der DICOM-Datei fehlt oder ist segmentiert",
    "the DICOM file's palette is shorter than it says": "die Palette der DICOM-Datei ist kürzer, als sie angibt",
    "the DICOM file's pixel data are coded in a way (Transfer Syntax) that is not handled": (
        "die Bilddaten der DICOM-Datei sind in einer Weise kodiert (Transfer Syntax), mit der die Box nicht umgeht"
    ),
    "the DICOM file's pixel data are empty": "die Bilddaten der DICOM-Datei sind leer",
    "the DICOM file's pixel data are in more than {limit} pieces": "die Bilddaten der DICOM-Datei liegen in mehr als {limit} Stücken",
    "the DICOM file's pixel data are no whole numbers, or none": "die DICOM-Datei hat keine Bilddaten, oder sie sind keine ganzen Zahlen",
    "the DICOM file's pixel data are not coded as its header says": (
        "die Bilddaten der DICOM-Datei sind nicht so kodiert, wie ihr Kopf sagt"
    ),
    "the DICOM file's pixel data have {found} bytes, its header says {said}": (
        "die Bilddaten der DICOM-Datei haben {found} Byte, ihr Kopf nennt {said}"
    ),
    "the DICOM file's samples do not begin at their lowest bit": "die Abtastwerte der DICOM-Datei beginnen nicht bei ihrem niedrigsten Bit",
    "a frame of the DICOM file cannot be encoded again by this box": "ein Bild der DICOM-Datei kann diese Box nicht wieder kodieren",
    "a frame of the DICOM file has another number of colours than its header says": (
        "ein Bild der DICOM-Datei hat eine andere Zahl von Farben, als ihr Kopf sagt"
    ),
    "a frame of the DICOM file has another size or number of colours than its header says": (
        "ein Bild der DICOM-Datei hat eine andere Größe oder Zahl von Farben, als ihr Kopf sagt"
    ),
    "a frame of the DICOM file has another size than its header says": "ein Bild der DICOM-Datei hat eine andere Größe, als ihr Kopf sagt",
    "a frame of the DICOM file has more bits than its header says": "ein Bild der DICOM-Datei hat mehr Bits, als ihr Kopf sagt",
    "a frame of the DICOM file has signs and fewer bits than its header says": (
        "ein Bild der DICOM-Datei hat Vorzeichen und weniger Bits, als ihr Kopf sagt"
    ),
    "a frame of the DICOM file is damaged: it cannot be decoded": "ein Bild der DICOM-Datei ist beschädigt: Es lässt sich nicht dekodieren",
    "its header says other pixels than were written": "ihr Kopf nennt andere Bildpunkte, als geschrieben wurden",
    "the finished DICOM file cannot be read: {why}": "die fertige DICOM-Datei lässt sich nicht lesen: {why}",
    "the finished DICOM file has two instance UIDs": "die fertige DICOM-Datei hat zwei Instance UIDs",
    "the finished DICOM file's frames are not those that were checked": (
        "die Bilder der fertigen DICOM-Datei sind nicht die, die geprüft wurden"
    ),
    "the finished file's header holds a text of the original; it was not released": (
        "der Kopf der fertigen Datei enthält einen Text des Originals; sie wurde nicht freigegeben"
    ),
    "the finished file's pixel data hold a text of the original's header; it was not released": (
        "die Bilddaten der fertigen Datei enthalten einen Text aus dem Kopf des Originals; sie wurde nicht freigegeben"
    ),
    "the finished frame cannot be read: {why}": "das fertige Bild lässt sich nicht lesen: {why}",
    "the finished frame has other markers than its source": "das fertige Bild hat andere Marken als seine Quelle",
    "the finished frame is not its source with the masked cells black": (
        "das fertige Bild ist nicht seine Quelle mit schwarzen maskierten Zellen"
    ),
    "uncompressed pixel data of 4 GiB and more do not fit into a DICOM file": (
        "unkomprimierte Bilddaten ab 4 GiB passen nicht in eine DICOM-Datei"
    ),
    # films
    "a frame of the film is cut off": "ein Bild des Films ist abgeschnitten",
    "films need the part `video`, which is not installed here (make setup)": (
        "Filme brauchen den Teil `video`, der hier nicht installiert ist (make setup)"
    ),
    "text was still seen after the film was written {times} times": "nach {times}-maligem Schreiben des Films war noch Text zu sehen",
    "the file has {count} picture streams, one is taken": "die Datei hat {count} Bildspuren, die Box nimmt eine",
    "the film cannot be encoded as it is: its size or rate is not one its codec's encoder takes": (
        "der Film lässt sich so nicht kodieren: Seine Größe oder Bildrate nimmt der Kodierer seines Codecs nicht"
    ),
    "the film changes its size midway": "der Film ändert mittendrin seine Größe",
    "the film came to {packets} packets, it has {frames} frames": "der Film ergab {packets} Pakete, er hat {frames} Bilder",
    "the film does not have 8 bits and 4:2:0, which is what this box handles": "der Film hat nicht 8 Bit und 4:2:0, was die Box kennt",
    "the film does not tell when each of its frames is shown": "der Film sagt nicht, wann jedes seiner Bilder gezeigt wird",
    "the film has damaged frames": "der Film hat beschädigte Bilder",
    "the film has no frame that can be decoded": "der Film hat kein Bild, das sich dekodieren lässt",
    "the film has no frames": "der Film hat keine Bilder",
    "the film has text and a rate that varies, which its codec cannot be encoded with here": (
        "der Film hat Text und eine wechselnde Bildrate, mit der sein Codec hier nicht kodiert werden kann"
    ),
    "the film has text and an odd number of rows or columns": "der Film hat Text und eine ungerade Zahl von Zeilen oder Spalten",
    "the film has text and is interlaced: export it progressive": (
        "der Film hat Text und besteht aus Halbbildern: exportieren Sie ihn mit Vollbildern"
    ),
    "the film has {count} frames, the limit is {limit}": "der Film hat {count} Bilder, die Grenze ist {limit}",
    "the film has {count} of the {promised} frames that it promises": "der Film hat {count} der {promised} Bilder, die er verspricht",
    "the film is cut off or damaged": "der Film ist abgeschnitten oder beschädigt",
    "the film is to be turned when it is shown: export it upright": (
        "der Film soll beim Zeigen gedreht werden: exportieren Sie ihn aufrecht"
    ),
    "the film is {width} x {height} px, the limit is {limit} Mpx a frame": (
        "der Film hat {width} x {height} px, die Grenze ist {limit} Mpx je Bild"
    ),
    "the film's codec is not one this box handles (H.264, HEVC, MPEG-2, MPEG-4 Part 2)": (
        "den Codec des Films kennt die Box nicht (H.264, HEVC, MPEG-2, MPEG-4 Teil 2)"
    ),
    "the film's decoder parameters are cut off": "die Dekodierangaben des Films sind abgeschnitten",
    "the film's frames cannot be put into an MP4": "die Bilder des Films lassen sich nicht in ein MP4 schreiben",
    "the film's packets are not its frames": "die Pakete des Films sind nicht seine Bilder",
    "the film's packets do not tell when they are shown": "die Pakete des Films sagen nicht, wann sie gezeigt werden",
    "the finished film cannot be read: {why}": "der fertige Film lässt sich nicht lesen: {why}",
    "the finished film is not as it should be: {what}": "der fertige Film ist nicht, wie er sein soll: {what}",
}
