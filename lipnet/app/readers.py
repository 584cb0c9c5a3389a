"""The page's readers: each network is loaded once, and combined with each decoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from lipnet.decoding.factory import AUTO, DECODERS
from lipnet.errors import LipnetError
from lipnet.inference.emissions import Backend
from lipnet.inference.reader import LipReader, load_backend
from lipnet.weights import WEIGHTS

SHIPPED = "the weights that ship with lipnet"
DECODER_NAMES = (AUTO, *DECODERS)


class Readers:
    """Readers by the name of their weights and of their decoder."""

    def __init__(self, weights: Sequence[Path], device: str = "auto") -> None:
        """Load all networks. Raises LipnetError on weights or a device that cannot be used."""
        self._backends: dict[str, Backend] = {
            SHIPPED if path.resolve() == WEIGHTS.resolve() else str(path): load_backend(path, device)
            for path in weights
        }
        self._lock = Lock()
        self._readers: dict[tuple[str, str], LipReader] = {}

    @property
    def names(self) -> list[str]:
        """Of the weights, in the order in which they were given."""
        return list(self._backends)

    def get(self, weights: str, decoder: str) -> LipReader:
        """A reader, which several threads may use.

        Raises LipnetError on unknown weights, or a decoder that these cannot use.
        """
        if weights not in self._backends or decoder not in DECODER_NAMES:
            raise LipnetError(f"{weights!r} with {decoder!r}: not on the page; load it again")
        with self._lock:
            if (weights, decoder) not in self._readers:
                self._readers[weights, decoder] = LipReader(self._backends[weights], decoder)
            return self._readers[weights, decoder]
