"""What a file says of its own de-identification, after PS3.15 E.1.1 and PS3.3 C.7.1.1, C.12.1."""

from __future__ import annotations

from pydicom.dataset import Dataset

from appliance.deid.values import Verdict


def confirm(dataset: Dataset, verdict: Verdict) -> None:
    """State in the dataset that its pixels were cleaned; called by the one function that holds the gate's verdict."""
    raise NotImplementedError
