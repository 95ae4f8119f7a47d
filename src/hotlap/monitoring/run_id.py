"""The name under which servers know a training, the same after it was resumed."""

from __future__ import annotations

import json
import re
import secrets

from hotlap.errors import RecordError
from hotlap.monitoring.sink import Beginning

KEY = "logs/monitoring.json"

_NAME = re.compile("[0-9a-f]{16}")


def run_id(training: Beginning) -> str:
    """Sixteen letters and digits, kept beside the model; new ones for a training that begins anew."""
    store = training.store
    if training.num_iterations and store.exists(KEY):
        try:
            found = json.loads(store.get(KEY))["run"]
            if _NAME.fullmatch(found):
                return str(found)
        except (RecordError, ValueError, TypeError, KeyError, RecursionError):
            pass  # lost: the servers see a new run
    name = secrets.token_hex(8)
    store.put(KEY, (json.dumps({"run": name}) + "\n").encode())
    return name
