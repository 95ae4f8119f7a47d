"""What a trainer of the original leaves for those who watch its model: workers, launchers, the console."""

from __future__ import annotations

import json
import socket

from hotlap.config.model_folder import ModelFolder
from hotlap.records.layout import READY
from hotlap.records.store import Store


def announce(model: ModelFolder, store: Store, *, elsewhere: bool) -> None:
    """Write what says how the model is trained, and that it is.

    ``ip/done`` after ``ip/ip.json``, and ``model/.ready`` last, as those who wait for them expect.

    Args:
        model: What is trained.
        store: Where it is trained.
        elsewhere: Whether that is another place than the model's own folder.
    """
    effective = model.hyperparameters.effective(model.metadata.algorithm)
    if elsewhere:
        store.put("reward_function.py", model.reward_file.read_bytes())
    store.put("model/model_metadata.json", model.metadata_file.read_bytes())
    store.put("ip/hyperparameters.json", json.dumps(effective, indent=2).encode())
    store.put("ip/ip.json", json.dumps({"IP": _address()}).encode())
    store.put("ip/done", b"done")
    store.put(READY, b"")


def _address() -> str:
    """This machine's address in its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # chooses a way; nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
