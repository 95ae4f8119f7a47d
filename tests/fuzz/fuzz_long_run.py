"""Let readers meet 100,000 inputs each and write down what came of it: ``make fuzz``.

    python tests/fuzz/fuzz_long_run.py [--inputs N] [--reader NAME ...] [--results FILE]
    python tests/fuzz/fuzz_long_run.py --replay NAME:SEED
    python tests/fuzz/fuzz_long_run.py --page FILE

Readers that the results already say so much of are left out, so that a run that was ended goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results" / "fuzz.json"
PAGE = REPOSITORY / "docs" / "security.md"
BEGIN, END = "<!-- counts -->", "<!-- end of counts -->"


def main() -> None:
    options = _options()
    if options.page:
        write_page(options.results, PAGE)
        return
    sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "fuzz")]
    from fuzz_choices import Choices
    from fuzz_driver import Counts, HangError, fuzz, program_of
    from fuzz_readers import READERS

    memory, failed = Path("/dev/shm"), []
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        if options.replay:
            name, _, seed = options.replay.rpartition(":")
            content = READERS[name].odd(Choices(program_of(name, int(seed))))
            print(content[:2000])
            READERS[name].prepare(Path(scratch))
            print(READERS[name].meet(Path(scratch), content))
            return
        known = json.loads(options.results.read_text())["readers"] if options.results.exists() else {}
        for name in options.reader or READERS:
            if known.get(name, {}).get("inputs", 0) >= options.inputs:
                continue

            def note(counts: Counts, name: str = name) -> None:
                _save(options.results, name, counts)

            folder = Path(scratch) / name
            folder.mkdir()
            seeds = range(options.first_seed, options.first_seed + options.inputs)
            try:
                counts = fuzz(name, READERS[name], seeds, folder, note)
                print(name, counts.inputs, dict(counts.outcomes), f"{counts.seconds:.0f} s", flush=True)
            except (Exception, HangError):
                traceback.print_exc()
                failed.append(name)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


def write_page(results: Path, page: Path) -> None:
    """Put the table of counts into the page."""
    readers = json.loads(results.read_text())["readers"]
    rows = ["| Reader | Inputs | Read | Refused | Seconds | Memory |", "| --- | ---: | ---: | --- | ---: | ---: |"]
    for name, counts in readers.items():
        refused = [f"{number:,} {kind}" for kind, number in sorted(counts["outcomes"].items()) if kind != "read"]
        rows.append(
            f"| {name} | {counts['inputs']:,} | {counts['outcomes'].get('read', 0):,} | {', '.join(refused) or '0'} | "
            f"{counts['seconds']:.0f} | {counts['growth'] / (1 << 20):+.1f} MiB |"
        )
    text = page.read_text(encoding="utf-8")
    table = "\n".join([BEGIN, *rows, END])
    page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def _save(results: Path, name: str, counts: Any) -> None:
    """Take the counts of one reader into the results, which other processes may write, too."""
    from filelock import FileLock

    results.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(Path(tempfile.gettempdir()) / "hotlap-fuzz.lock"):
        found = json.loads(results.read_text()) if results.exists() else {"readers": {}}
        entry = vars(counts) | {"outcomes": dict(sorted(counts.outcomes.items())), "seconds": round(counts.seconds, 1)}
        found["date"] = datetime.now(UTC).date().isoformat()
        found["readers"] = dict(sorted({**found["readers"], name: entry}.items()))
        unfinished = results.with_suffix(".part")
        unfinished.write_text(json.dumps(found, indent=2) + "\n")
        os.replace(unfinished, results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--reader", action="append")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--replay", metavar="NAME:SEED")
    parser.add_argument("--page", action="store_true", help="write the table of results into docs/security.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
