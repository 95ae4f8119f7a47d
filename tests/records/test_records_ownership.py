"""One training below a prefix: taken by a put that succeeds once, kept by signs of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotlap.errors import RecordError
from hotlap.records.address import S3Prefix
from hotlap.records.ownership import Ownership, SucceededError, owner_numbers, owner_token
from hotlap.records.s3 import Bucket


@pytest.fixture
def bucket(s3_bucket: str) -> Bucket:
    return Bucket(S3Prefix(s3_bucket, "owned"))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def take(bucket: Bucket, token: str, **options: object) -> Ownership:
    return Ownership(bucket, token, bucket.all_keys(), **options)  # type: ignore[arg-type]


def test_a_second_owner_is_refused_until_the_first_lets_go(bucket: Bucket):
    """The refusal says who it is and what to do; nothing is left behind in the end."""
    first = take(bucket, "first")
    with pytest.raises(RecordError, match=r"trained already, by process \d+ on .* sign of life is \d+ s old.*End the"):
        take(bucket, "second")
    assert owner_token(bucket, bucket.all_keys()) == "first"
    first.release()
    first.release()
    second = take(bucket, "second")
    second.release()
    assert bucket.all_keys() == []


def test_of_many_at_the_same_moment_one_succeeds(bucket: Bucket):
    """All have seen the same keys; who is refused hears of it before anything is written."""
    begin = threading.Barrier(6)
    owners: list[Ownership] = []
    refusals: list[RecordError] = []

    def run(number: int) -> None:
        begin.wait()
        try:
            owner = Ownership(bucket, f"token{number}", [])
            owner.confirm()
            owners.append(owner)
        except RecordError as error:
            refusals.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owners) == 1
    assert len(refusals) == 5
    owners[0].confirm()
    owners[0].release()


def test_a_sign_of_life_keeps_the_place(bucket: Bucket):
    """An owner older than its expiry is alive as long as it says so."""
    first = take(bucket, "first", beat_s=0.2, expiry_s=3.0)
    born = bucket.modified(".training/1.json")
    assert born is not None
    wait_for(lambda: (bucket.modified(".training/1.json") or born) > born)  # the server's clock has whole seconds
    time.sleep(3.0)
    with pytest.raises(RecordError, match="trained already"):
        take(bucket, "second", expiry_s=3.0)
    first.release()


def test_a_dead_owner_is_succeeded_and_would_notice(bucket: Bucket):
    """One that was cut off for too long, and comes back, writes nothing more; and it lets the successor be."""
    first = take(bucket, "first", beat_s=1000.0, expiry_s=1.0)
    first.confirm()
    time.sleep(2.1)
    second = take(bucket, "second", expiry_s=1.0)
    assert owner_numbers(bucket.all_keys()) == [2]
    with pytest.raises(SucceededError, match=r"taken by another training.*--resume"):
        first.confirm()
    first.release()
    second.confirm()
    assert owner_token(bucket, bucket.all_keys()) == "second"
    second.release()


def test_an_owner_known_to_have_ended_need_not_expire(bucket: Bucket):
    """As a killed training on the same machine."""
    take(bucket, "killed").leave()
    with pytest.raises(RecordError, match="trained already"):
        take(bucket, "second", former=["other"])
    take(bucket, "second", former=["other", "killed"]).release()


def test_a_latecomer_with_an_old_list_is_refused(bucket: Bucket):
    """It saw an owner die that has been succeeded, and the successor end, since it looked."""
    old = take(bucket, "old", beat_s=1000.0)
    seen = bucket.all_keys()
    old.leave()
    successor = take(bucket, "successor", former=["old"])
    present = take(bucket, "present", former=["successor"])
    with pytest.raises(RecordError, match="trained already"):
        Ownership(bucket, "late", seen, former=["old"])
    assert owner_token(bucket, bucket.all_keys()) == "present"
    present.release()
    successor.leave()
