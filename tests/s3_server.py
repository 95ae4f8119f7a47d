"""A real S3 server on loopback: OpenStack Swift, all of its roles in one process.

Run as a program, ``s3_server.py ROOT PORT``, this file is the server: it says ``READY PORT`` when it listens, keeps its
data below ROOT and goes on with them when it is started there again. Imported, it starts and stops such a process.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET, REGION = "test:tester", "testing", "us-east-1"

# A server that the user gives instead: with these, and the bucket that tests may fill.
GIVEN = ("HOTLAP_TEST_S3_ENDPOINT", "HOTLAP_TEST_S3_KEY", "HOTLAP_TEST_S3_SECRET")

FILTERS = (
    "catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink"
)
OPTIONS = {
    "s3api": f"location = {REGION}",
    "tempauth": f"user_{KEY.replace(':', '_')} = {SECRET} .admin",
    "versioned_writes": "allow_object_versioning = true",
}


class S3Server:
    """A server and how to reach it.

    Args:
        root: Of its data.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self.endpoint, self.key, self.secret = (os.environ.get(name, "") for name in GIVEN)
        self.given = bool(self.endpoint)
        if not self.given:
            self.key, self.secret = KEY, SECRET
            self.start()
            self.endpoint = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or again after `stop`: at the same port, with the same data."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, str(self.root), str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        word, port = self._process.stdout.readline().split()
        assert word == "READY"
        self.port = int(port)

    def stop(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which every AWS tool finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
        }

    def client(self) -> Any:
        """Somebody else's library, to look at what ours did."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}),
        )


def serve(root: Path) -> S3Server:
    """The server given by the user, or one of ours; the test is skipped where that is not installed."""
    if not os.environ.get(GIVEN[0]) and find_spec("swift") is None:
        pytest.skip(f"no S3 server: install swift (it comes with hotlap[dev]), or set {', '.join(GIVEN)}")
    return S3Server(root)


def _listen(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or an answer in two parts waits for 40 ms
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    return listener


def main(root: Path, port: int) -> None:
    """Be the server."""
    import eventlet
    from eventlet import greenio
    from eventlet import wsgi as eventlet_wsgi

    eventlet.hubs.use_hub("poll")
    from swift.common.utils import eventlet_monkey_patch

    eventlet_monkey_patch()
    os.fsync = os.fdatasync = lambda descriptor: None  # waiting for the disk would only take time
    from swift.common import utils, wsgi
    from swift.common.ring import RingBuilder

    settings, devices = root / "etc", root / "devices"
    settings.mkdir(parents=True, exist_ok=True)
    (devices / "d1").mkdir(parents=True, exist_ok=True)
    (settings / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = test\n")
    utils.set_swift_dir(str(settings))
    common = f"[DEFAULT]\nswift_dir = {settings}\nuser = {getpass.getuser()}\nlog_level = ERROR\n"
    listeners = {}
    for kind in ("account", "container", "object"):
        listeners[kind] = _listen()
        inner = listeners[kind].getsockname()[1]
        ring = RingBuilder(4, 1, 0)  # 2**4 partitions, one replica
        device = {"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": inner, "device": "d1"}
        ring.add_dev(device | {"replication_ip": "127.0.0.1", "replication_port": inner, "meta": ""})
        ring.rebalance()
        ring.get_ring().save(str(settings / f"{kind}.ring.gz"))
        (settings / f"{kind}.conf").write_text(
            f"{common}devices = {devices}\nmount_check = false\nfallocate_reserve = 0\n"
            f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
        )
    listeners["proxy"] = _listen(port)
    (settings / "proxy.conf").write_text(
        f"{common}[pipeline:main]\npipeline = {FILTERS} proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
        + "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n{OPTIONS.get(name, '')}\n" for name in FILTERS.split())
    )
    servers = [
        eventlet.spawn(
            eventlet_wsgi.server,
            greenio.GreenSocket(listener),
            wsgi.loadapp(str(settings / f"{name}.conf"), global_conf={"log_name": name}),
            utils.NullLogger(),
            protocol=wsgi.SwiftHttpProtocol,
            capitalize_response_headers=False,
        )
        for name, listener in listeners.items()
    ]
    print("READY", listeners["proxy"].getsockname()[1], flush=True)
    for server in servers:
        server.wait()


def hide_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the user had never heard of AWS."""
    for variable in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
