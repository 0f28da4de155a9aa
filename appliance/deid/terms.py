"""The standard's own words: what a code string may say to stay. Whatever else stands in one is somebody's own and may be a name.

Enumerated values and defined terms of PS3.3 at the section beside each attribute; coded concepts of PS3.16 in data/codes.json.
"""

from __future__ import annotations

import json
from functools import lru_cache

from appliance.deid.table import DATA


def listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


YES_NO = frozenset({"YES", "NO"})
SIDES = frozenset({"R", "L"})

MODALITIES = listed(
    """AR AS ASMT AU BDUS BI BMD CD CF CFM CP CR CS CT DD DF DG DM DOC DS DX EC ECG EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN
    LP LS M3D MA MG MR MS NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF OPV OSS OT PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTPLAN RTRECORD
    RTSTRUCT SC SEG SM SMR SR SRF ST STAIN TG US VA VF VL XA XC"""
)  # C.7.3.1.1.1, with the retired ones; "SC" and "VL" are in neither list, but capture stations write them

ULTRASOUND_IMAGES = listed(
    """ABDOMINAL BREAST CHEST ENDOCAVITARY ENDORECTAL ENDOVAGINAL EPICARDIAL GYNECOLOGY INTRACARDIAC INTRAOPERATIVE INTRAVASCULAR
    MUSCULOSKELETAL OBSTETRICAL OPHTHALMIC PEDIATRIC PELVIC RETROPERITONEAL SCROTAL TEE THYROID TRANSCRANIAL TTE VASCULAR"""
) | {"FETAL HEART", "NEONATAL HEAD", "SMALL PARTS", "US BIOPSY"}  # C.8.5.6.1.1

BODY_PARTS = listed(
    """ABDOMEN ABDOMENPELVIS ADRENAL ANKLE ANUS AORTA APPENDIX ARM AXILLA BACK BILEDUCT BLADDER BRAIN BREAST BRONCHUS BUTTOCK CALF CARDIA
    CECUM CERVIX CHEEK CHEST CHESTABDOMEN CHOROIDPLEXUS CLAVICLE COCCYX COLON CORNEA DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE
    FINGER FOOT GALLBLADDER HAND HEAD HEADNECK HEART HIP ILEUM INTESTINE JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LUNG MAXILLA MEDIASTINUM
    MOUTH NECK NOSE ORBIT OVARY PANCREAS PANCBILEDUCT PARATHYROID PAROTID PELVIS PENIS PHARYNX PLACENTA PLEURA PROSTATE RECTUM RIB SACRUM
    SCROTUM SHOULDER SIGMOID SINUS SKIN SKULL SMALLINTESTINE SPINE SPLEEN STERNUM STOMACH TESTIS THIGH THUMB THYMUS THYROID TOE TONGUE
    TRACHEA URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST"""
)  # PS3.16 annex L

ORIENTATIONS = frozenset({"A", "P", "R", "L", "H", "F"})
"""C.7.6.1.1.1: a value is up to three of these letters."""

TERMS: dict[str, frozenset[str]] = {
    "AnatomicalOrientationType": frozenset({"BIPED", "QUADRUPED"}),  # C.7.3.1
    "BeatRejectionFlag": frozenset({"Y", "N"}),  # C.7.6.5
    "BodyPartExamined": BODY_PARTS,  # C.7.3.1
    "ContentQualification": frozenset({"PRODUCT", "RESEARCH", "SERVICE"}),  # C.12.1
    "ConversionType": frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"}),  # C.8.6.1
    "IVUSAcquisition": frozenset({"MOTOR_PULLBACK", "MANUAL_PULLBACK", "SELECTIVE", "GATED_PULLBACK"}),  # C.8.5.6
    "ImageLaterality": frozenset({"R", "L", "U", "B"}),  # C.7.6.1
    "ImageType": frozenset({"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY"}) | ULTRASOUND_IMAGES,  # C.7.6.1.1.2
    "Laterality": SIDES,  # C.7.3.1
    "LossyImageCompression": frozenset({"00", "01"}),  # C.7.6.1
    "LossyImageCompressionMethod": listed(
        "ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_15444_15 ISO_18181_1 ISO_13818_2 ISO_14496_10 ISO_23008_2"
    ),  # C.7.6.1.1.5.1
    "Modality": MODALITIES,  # C.7.3.1
    "PatientPosition": listed("HFP HFS HFDR HFDL FFDR FFDL FFP FFS LFP LFS RFP RFS AFDR AFDL PFDR PFDL"),  # C.7.3.1.1.2
    "PatientSex": frozenset({"M", "F", "O"}),  # C.7.1.1; only with retain_characteristics
    "PhotometricInterpretation": frozenset(
        {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422"}
        | {"YBR_ICT", "YBR_RCT", "XYB", "HSV", "ARGB", "CMYK"}
    ),  # C.7.6.3.1.2
    "PixelSpacingCalibrationType": frozenset({"GEOMETRY", "FIDUCIAL"}),  # 10.7
    "PresentationLUTShape": frozenset({"IDENTITY", "INVERSE"}),  # C.11.6
    "QualityControlImage": YES_NO | {"BOTH"},  # C.7.6.1
    "QualityControlSubject": YES_NO,  # C.7.1.1
    "SliceProgressionDirection": frozenset({"APEX_TO_BASE", "BASE_TO_APEX", "ANTERIOR_TO_POSTERIOR"}),  # C.8.4
    "StereoPairsPresent": YES_NO,  # C.7.6.6
    "SyntheticData": YES_NO,  # C.12.1
    "TransducerType": frozenset(
        {"SECTOR_PHASED", "SECTOR_MECH", "SECTOR_ANNULAR", "LINEAR", "CURVED LINEAR", "SINGLE CRYSTAL", "SPLIT XTAL CWD", "IV_PHASED"}
        | {"IV_ROT XTAL", "IV_ROT MIRROR", "ENDOCAV_PA", "ENDOCAV_MECH", "ENDOCAV_CLA", "ENDOCAV_AA", "ENDOCAV_LINEAR", "VECTOR_PHASED"}
    ),  # C.8.5.6.1.5
    "VOILUTFunction": frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"}),  # C.11.2
}

INSTEAD: dict[str, tuple[str, ...]] = {
    "ImageType": ("DERIVED", "SECONDARY"),
    "ConversionType": ("DI",),
    "Modality": ("OT",),
}
"""What a Type 1 code string becomes when its value is nobody's word but the maker's."""


FEWEST = {"ImageType": 2, "PatientOrientation": 2}
"""How many values an attribute has at least."""


def allowed(keyword: str, value: str) -> bool:
    if keyword == "PatientOrientation":
        return 0 < len(value) <= 3 and set(value) <= ORIENTATIONS
    return value in TERMS.get(keyword, frozenset())


@lru_cache(1)
def codes() -> dict[str, dict[str, str]]:
    """Coding scheme designator -> code value -> code meaning."""
    value: dict[str, dict[str, str]] = json.loads((DATA / "codes.json").read_text("utf-8"))
    return value


@lru_cache(1)
def words() -> frozenset[bytes]:
    """All of these words: a source that holds one in some text has not told anything by it."""
    concepts = {word for scheme in codes().values() for pair in scheme.items() for word in pair}
    return frozenset(word.encode() for word in concepts.union(*TERMS.values(), codes()))
