"""Buckets: how they are reached, what is said when they cannot be, and what is never said."""

from __future__ import annotations

import io
import os
import secrets
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from s3_server import S3Server, hide_aws_settings
from tcp_proxy import Proxy

from hotlap.errors import ConfigError, HotlapError, RecordError
from hotlap.records import s3
from hotlap.records.address import S3Prefix
from hotlap.records.s3 import Bucket
from hotlap.records.s3_errors import StorageError
from hotlap.records.s3_settings import load_settings

KEYS_UNSET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def bucket_of(name: str) -> Bucket:
    return Bucket(S3Prefix(name, "models/first"))


def write_profile(monkeypatch: pytest.MonkeyPatch, folder: Path, credentials: str, config: str = "") -> None:
    """Let AWS files say so, and nothing else."""
    for variable in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (folder / "credentials").write_text(credentials)
    (folder / "config").write_text(config)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))


def test_a_put_that_creates_succeeds_once(s3_bucket: str):
    bucket = bucket_of(s3_bucket)
    assert bucket.create("owner", b"first")
    assert not bucket.create("owner", b"second")
    assert bucket.get("owner") == b"first"


def test_all_keys_are_those_below_the_prefix(s3_bucket: str, s3_server: S3Server):
    bucket = bucket_of(s3_bucket)
    for key in ("b", "a/b/c", "a/a"):
        bucket.put(key, b"")
    for foreign in ("models/first-lap/x", "models/firs", "other"):
        s3_server.client().put_object(Bucket=s3_bucket, Key=foreign, Body=b"")
    assert bucket.check() == ["a/a", "a/b/c", "b"]
    bucket.delete_all([*bucket.all_keys(), "none"])
    assert bucket.all_keys() == []
    assert len(s3_server.client().list_objects_v2(Bucket=s3_bucket)["Contents"]) == 3


def test_large_files_travel_in_parts(s3_bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch):
    """And arrive whole; S3 takes parts from 5 MiB."""
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 6 << 20)
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    data = os.urandom(11 << 20)
    bucket = bucket_of(s3_bucket)
    bucket.put("model/large", data)
    assert bucket.get("model/large") == data
    head = s3_server.client().head_object(Bucket=s3_bucket, Key="models/first/model/large")
    assert head["ETag"].strip('"').endswith("-3")  # S3's sign of three parts


def test_a_wrong_secret_is_said_at_the_start(s3_bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-it")
    with pytest.raises(ConfigError, match=r"secret key is wrong \(SignatureDoesNotMatch\).*AWS_ACCESS_KEY_ID and AWS_"):
        bucket_of(s3_bucket).check()


def test_an_unknown_key_is_said_at_the_start(s3_bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody:none")
    with pytest.raises(ConfigError, match=r"cannot be used: .*Credentials are taken from the environment"):
        bucket_of(s3_bucket).check()


def test_a_missing_bucket_is_said_at_the_start(s3_bucket: str):
    with pytest.raises(ConfigError, match=r"there is no such bucket.*Make the bucket 'hotlap-no-such-bucket'"):
        bucket_of("hotlap-no-such-bucket").check()


def test_a_server_that_is_not_there_is_said_at_the_start(s3_bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")  # counts more than AWS_ENDPOINT_URL
    with pytest.raises(RecordError, match=r"http://127.0.0.1:9 cannot be reached: nothing answers.*Check the endpoint"):
        bucket_of(s3_bucket).check()


def test_a_host_without_an_address_is_said_at_the_start(s3_bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid")
    with pytest.raises(RecordError, match=r"no-such-host\.invalid cannot be reached"):
        bucket_of(s3_bucket).check()


def test_a_silent_server_is_not_waited_for_without_end(
    s3_bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(s3, "REQUEST_S", 1)
    proxy = Proxy(int(s3_server.endpoint.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    bucket = bucket_of(s3_bucket)
    bucket.put("x", b"1")
    proxy.silent = True
    with pytest.raises(StorageError, match="x could not be written: no answer in time"):
        bucket.put("x", b"2")
    proxy.silent = False
    proxy.drop()
    bucket.put("x", b"3")
    assert bucket.get("x") == b"3"
    proxy.close()


def test_without_credentials_nothing_is_tried(monkeypatch: pytest.MonkeyPatch):
    hide_aws_settings(monkeypatch)
    with pytest.raises(ConfigError, match=r"no credentials for buckets.*AWS_ACCESS_KEY_ID.*AWS_PROFILE"):
        Bucket(S3Prefix("models", "p"))


def test_profiles_are_read(s3_bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Keys from one file, endpoint and region from the other; the environment counts more."""
    keys = f"aws_access_key_id = {s3_server.key}\naws_secret_access_key = {s3_server.secret}\n"
    write_profile(
        monkeypatch,
        tmp_path,
        f"[default]\naws_access_key_id = no\naws_secret_access_key = no\n[minio]\n{keys}",
        f"[profile minio]\nregion = us-east-1\nendpoint_url = {s3_server.endpoint}\n",
    )
    monkeypatch.setenv("AWS_PROFILE", "minio")
    bucket = bucket_of(s3_bucket)
    assert bucket.settings.source == f"profile [minio] in {tmp_path / 'credentials'}"
    bucket.put("x", b"1")
    assert bucket.check() == ["x"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigError, match=r"secret key is wrong.*environment variables"):
        bucket_of(s3_bucket).check()


def test_the_default_profile_and_a_services_section(
    s3_bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """An endpoint for S3 alone counts more than one for everything."""
    write_profile(
        monkeypatch,
        tmp_path,
        f"[default]\naws_access_key_id = {s3_server.key}\naws_secret_access_key = {s3_server.secret}\n",
        "[default]\nservices = here\nendpoint_url = http://127.0.0.1:9\n"
        f"[services here]\ns3 =\n  endpoint_url = {s3_server.endpoint}\ndynamodb =\n  endpoint_url = http://no\n",
    )
    assert bucket_of(s3_bucket).check() == []


def test_a_profile_that_runs_a_program(
    s3_bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Whatever is more than keys in a file is left to the AWS library."""
    pytest.importorskip("boto3")
    program = tmp_path / "keys.py"
    program.write_text(
        "import json; print(json.dumps({'Version': 1, 'AccessKeyId': "
        f"{s3_server.key!r}, 'SecretAccessKey': {s3_server.secret!r}}}))"
    )
    config = f"[profile made]\ncredential_process = {sys.executable} {program}\nendpoint_url = {s3_server.endpoint}\n"
    write_profile(monkeypatch, tmp_path, "", config)
    monkeypatch.setenv("AWS_PROFILE", "made")
    assert bucket_of(s3_bucket).check() == []


def test_renewed_keys_are_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Session keys in a file are renewed by other tools while a training runs; a torn file changes nothing."""
    template = "[default]\naws_access_key_id = k{0}\naws_secret_access_key = s{0}\naws_session_token = t{0}\n"
    write_profile(monkeypatch, tmp_path, template.format(1))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-other-keys")
    provider = load_settings().provider
    assert provider is not None

    def told() -> list[object]:
        found: dict[str, object] = {**provider()}
        return [found[name] for name in ("access_key_id", "secret_access_key", "token")]

    assert told() == ["k1", "s1", "t1"]
    (tmp_path / "credentials").write_text(template.format(2))
    assert told() == ["k2", "s2", "t2"]
    (tmp_path / "credentials").write_text("[default\n")
    assert told() == ["k2", "s2", "t2"]


@pytest.mark.parametrize(
    ("credentials", "variables", "message"),
    [
        ("[default]\naws_access_key_id = only\n", {}, "aws_access_key_id is set in .* but not aws_secret_access_key"),
        ("", {"AWS_PROFILE": "gone"}, r"profile 'gone', which stands neither in .*aws configure --profile gone"),
        ("aws_access_key_id = x\n", {}, "credentials, line 1: this is no file of profiles"),
        ("[default]\nnonsense\n", {}, "credentials, line 2: this is no file of profiles"),
        ("", {"AWS_ACCESS_KEY_ID": "only"}, "AWS_ACCESS_KEY_ID is set in the environment, but not AWS_SECRET"),
        ("", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "host:9000"}, "no address"),
        ("", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CA_BUNDLE": "/no/file"}, "AWS_CA_BUNDLE"),
    ],
)
def test_settings_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, credentials: str, variables: dict[str, str], message: str
):
    write_profile(monkeypatch, tmp_path, credentials)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        load_settings()


Mistake = Callable[[pytest.MonkeyPatch, Path, S3Server, str], None]


def wrong_secret(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def wrong_key(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", secret)


def wrong_token(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def wrong_secret_in_a_profile(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    keys = f"[default]\naws_access_key_id = {server.key}\naws_secret_access_key = {secret}\n"
    write_profile(monkeypatch, folder, keys, f"[default]\nendpoint_url = {server.endpoint}\n")


def torn_profile(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    write_profile(monkeypatch, folder, f"[default]\naws_secret_access_key {secret}\n")


def password_in_the_endpoint(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{secret}@127.0.0.1:9")


def program_that_fails(monkeypatch: pytest.MonkeyPatch, folder: Path, server: S3Server, secret: str) -> None:
    program = folder / "keys.py"
    program.write_text(f"print({secret!r}); raise SystemExit({secret!r})")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = f"[default]\ncredential_process = {sys.executable} {program}\nendpoint_url = {server.endpoint}\n"
    write_profile(monkeypatch, folder, "", config)


@pytest.mark.parametrize(
    "mistake",
    [
        wrong_secret,
        wrong_key,
        wrong_token,
        wrong_secret_in_a_profile,
        torn_profile,
        password_in_the_endpoint,
        program_that_fails,
    ],
)
def test_secrets_are_never_said(
    s3_bucket: str,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    mistake: Mistake,
):
    """Neither by errors, with all that hangs on them, nor by the objects, nor on the standard streams."""
    secret = f"hush{secrets.token_hex(8)}"
    mistake(monkeypatch, tmp_path, s3_server, secret)
    said = io.StringIO()

    def tell_all(error: BaseException | None) -> None:
        while error is not None:
            said.write(f"{error!r} {error} {error.args!r} {vars(error)!r}")
            traceback.print_exception(error, file=said)
            error = error.__cause__ or error.__context__

    try:
        bucket = bucket_of(s3_bucket)
        said.write(f"{bucket!r} {bucket} {bucket.settings!r} {bucket.settings.provider!r}")
        attempts: list[Callable[[], object]] = [
            bucket.check,
            lambda: bucket.put("a", b""),
            lambda: bucket.get("a"),
            lambda: bucket.exists("a"),
            lambda: bucket.list("a"),
            lambda: bucket.delete("a"),
            lambda: bucket.create("a", b""),
        ]
        for attempt in attempts:
            with pytest.raises(HotlapError) as raised:
                attempt()
            tell_all(raised.value)
    except ConfigError as error:
        tell_all(error)
    assert said.getvalue()
    assert secret not in said.getvalue()
    output = capfd.readouterr()
    assert secret not in output.out + output.err
