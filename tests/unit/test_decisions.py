"""The words every policy speaks."""

import pytest

from policies.decisions import Deny


def test_a_denial_without_a_reason_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="reason"):
        Deny(())
