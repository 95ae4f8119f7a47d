"""One training below a prefix: taken by a put that succeeds once, kept by signs of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotlap.errors import RecordError
from hotlap.records.address import S3Prefix
from hotlap.records.claim import CLAIM, Claim, SucceededError, holder_token
from hotlap.records.s3 import Bucket


@pytest.fixture
def bucket(s3_bucket: str) -> Bucket:
    return Bucket(S3Prefix(s3_bucket, "claimed"))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_training_is_refused_until_the_first_lets_go(bucket: Bucket):
    """The refusal says who it is and what to do; nothing is left behind in the end."""
    first = Claim(bucket, "first")
    with pytest.raises(RecordError, match=r"trained already, by process \d+ on .* sign of life is \d+ s old.*End the"):
        Claim(bucket, "second")
    assert holder_token(bucket) == "first"
    first.release()
    first.release()
    second = Claim(bucket, "second")
    second.release()
    assert bucket.all_keys() == []


def test_of_many_at_the_same_moment_one_succeeds(bucket: Bucket):
    """Who is refused hears of it before anything is written."""
    begin = threading.Barrier(6)
    claims: list[Claim] = []
    refusals: list[RecordError] = []

    def run(number: int) -> None:
        begin.wait()
        try:
            claim = Claim(bucket, f"token{number}")
            claim.confirm()
            claims.append(claim)
        except RecordError as error:
            refusals.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 1
    assert len(refusals) == 5
    claims[0].confirm()
    claims[0].release()


def test_a_sign_of_life_keeps_the_prefix(bucket: Bucket):
    """A training older than the expiry is alive as long as it uploads."""
    first = Claim(bucket, "first", beat_s=0.2, expiry_s=3.0)
    born = bucket.modified(CLAIM)
    assert born is not None

    def lives() -> bool:
        first.confirm()
        return (bucket.modified(CLAIM) or born) > born  # the server's clock has whole seconds

    wait_for(lives)
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        first.confirm()
        time.sleep(0.1)
    with pytest.raises(RecordError, match="trained already"):
        Claim(bucket, "second", expiry_s=3.0)
    first.release()


def test_a_silent_training_is_succeeded_and_would_notice(bucket: Bucket):
    """One that was cut off for too long, and comes back, writes nothing more; and it lets the successor be."""
    first = Claim(bucket, "first", beat_s=0.5, expiry_s=1.0)
    first.confirm()
    time.sleep(2.1)
    second = Claim(bucket, "second", expiry_s=1.0)
    with pytest.raises(SucceededError, match=r"taken by another training.*--resume"):
        first.confirm()
    first.release()
    second.confirm()
    assert holder_token(bucket) == "second"
    second.release()


def test_who_comes_back_need_not_wait(bucket: Bucket):
    """As the next training on the machine where one was killed: its folder has the same token."""
    Claim(bucket, "machine")
    with pytest.raises(RecordError, match="trained already"):
        Claim(bucket, "other")
    again = Claim(bucket, "machine")
    again.confirm()
    again.release()
    assert bucket.all_keys() == []


def test_a_torn_claim_expires_like_any_other(bucket: Bucket):
    bucket.put(CLAIM, b'{"token": ')
    with pytest.raises(RecordError, match="trained already, by process None on None"):
        Claim(bucket, "first")
    time.sleep(2.1)
    Claim(bucket, "first", expiry_s=1.0).confirm()
