"""Builds the new header from the old one."""

from __future__ import annotations

from pydicom.dataset import Dataset

from appliance.deid.values import Cleaned, Identity, Rules


def clean(source: Dataset, rules: Rules, identity: Identity) -> Cleaned:
    """A new dataset with what the source's IOD allows and no rule removes. Raises BadFile."""
    raise NotImplementedError
