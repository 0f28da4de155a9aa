"""What a DICOM header may keep of a patient: nothing. An allow-list by IOD, with Table E.1-1 of PS3.15 on top, builds a new dataset.

`clean` builds it, `confirm` states in it what the gate found, `check` searches the finished bytes for what the source held. The old dataset
is never edited, because what nobody thought of (a private block, a preamble, padding after the last element) would then stay.
"""

from __future__ import annotations

from appliance.deid.clean import clean
from appliance.deid.search import check
from appliance.deid.statement import confirm
from appliance.deid.values import Cleaned, Identity, Rules, UidScope, Verdict

__all__ = ["Cleaned", "Identity", "Rules", "UidScope", "Verdict", "check", "clean", "confirm"]
