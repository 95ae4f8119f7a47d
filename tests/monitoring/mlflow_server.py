"""MLflow's own server as a process: ``mlflow_server.py FOLDER`` says ``READY PORT`` when it listens on loopback."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path


class MLflowServer:
    """A server that keeps its runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        word, port = self._process.stdout.readline().split()
        assert word == "READY"
        self.uri = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()


def main(folder: Path) -> None:
    """Be the server."""
    # Not the database, which takes ten seconds to set up; these tests ask for the protocol.
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = (folder / "runs").as_uri()
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = (folder / "artifacts").as_uri()
    from mlflow.server import app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print("READY", server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
