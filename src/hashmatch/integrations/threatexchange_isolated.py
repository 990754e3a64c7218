"""The signal types of `hashmatch.integrations.threatexchange`, which decode in worker processes that are shut in.

Floor: integrations. An extension of its own, since ``tx config extensions add`` takes the name of a module and no more.
"""

from __future__ import annotations

from typing import Final

from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest

from hashmatch.integrations.threatexchange import HashmatchKeypointSignal, HashmatchPdqSignal
from hashmatch.jail import Isolation

__all__ = ["TX_MANIFEST", "IsolatedKeypointSignal", "IsolatedPdqSignal"]


class IsolatedPdqSignal(HashmatchPdqSignal):
    """PDQ of what a worker process decodes."""

    ISOLATION = Isolation()


class IsolatedKeypointSignal(HashmatchKeypointSignal):
    """Keypoint records of what a worker process decodes."""

    ISOLATION = Isolation()


TX_MANIFEST: Final = ThreatExchangeExtensionManifest(signal_types=(IsolatedPdqSignal, IsolatedKeypointSignal))
"""What ``tx config extensions add`` reads."""
