"""Damaged copies of files, parsed in workers: what ends a parser, hangs it, or shows a fault in it.

    python -m tests.documents.fuzzing COUNT [FOLDER ...]

The copies are made of the tests' own binary files, or of all files in FOLDERs, each by its format.
They are the same for the same COUNT and files. It prints what became of them by format, and each
thing that should not be: a parser that failed instead of refusing the file, a wrong outline.
"""

from __future__ import annotations

import io
import random
import re
import sys
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.documents import workers
from retrieval.documents.formats import Format, Parsed, Source, format_of
from retrieval.errors import DocumentError

from .outlines_for_tests import check

HERE = Path(__file__).parent
MAIL = """From: a@example.org
To: b@example.org
Subject: =?utf-8?q?The_m=C3=BCll?=
Date: Mon, 6 May 2024 10:00:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=edge

--edge
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

The m=C3=BCll has two pumps.
--edge
Content-Type: text/html

<p>They run by <b>day</b>.</p>
--edge
Content-Type: text/csv; name=a.csv
Content-Disposition: attachment; filename="a.csv"
Content-Transfer-Encoding: base64

bmFtZSxmbG93Cm5vcnRoLDcK
--edge--
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A file as it should be; of a zip its members, too."""

    name: str
    format: Format
    data: bytes
    members: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What became of the copies.

    Attributes:
        read: by format, those that gave documents.
        refused: by format, those that were refused in one line.
        ended: by format and what ended the parser.
        faults: a line for each thing that should not be.
        slowest: seconds, and the name of the file.
    """

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


def by_name(data: bytes, source: Source) -> list[Parsed]:
    """What the format of a file's name makes of it; workers find this function here."""
    made = format_of(source.id, data[:8192]).parse(data, source)
    return [made] if isinstance(made, Parsed) else list(made)


def sample(name: str, data: bytes) -> Sample:
    members: tuple[tuple[str, bytes], ...] = ()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = tuple((one.filename, archive.read(one)) for one in archive.infolist())
    return Sample(name, format_of(name, data[:8192]), data, members)


def own_samples() -> list[Sample]:
    """The committed files of the isolated formats, messages, and archives."""
    from .compound_files_for_tests import compound
    from .test_outlook import message

    paths = sorted([*HERE.glob("pdf/files/*"), *HERE.glob("office/files/*")])
    paths += [path for path in sorted(HERE.glob("corpus/files/*")) if format_of(path.name).isolated]
    found = [sample(path.name, path.read_bytes()) for path in paths]
    found.append(sample("message.eml", MAIL.encode()))
    found.append(sample("message.msg", compound(message())))
    texts = {
        "a.md": b"# The mill\n\nIt has pumps.\n",
        "b/c.html": b"<p>They run.",
        "d.eml": MAIL.encode(),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in texts.items():
            archive.writestr(name, data)
    found.append(sample("files.zip", packed.getvalue()))
    for kind in ("", "gz", "bz2", "xz"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=f"w:{kind}") as tar:
            for name, data in texts.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        found.append(sample(f"files.tar.{kind}".rstrip("."), stream.getvalue()))
    return [one for one in found if one.format.isolated]


def damaged(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A copy with up to a dozen changes."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        at = chance.randrange(len(made) + 1)
        to = min(len(made), at + chance.choice((1, 1, 4, 30, 300, 3000)))
        match chance.randrange(7):
            case 0:
                del made[at:to]
            case 1:
                made[at:at] = made[at:to] * chance.choice((1, 2, 40))
            case 2:
                made[at:to] = chance.randbytes(to - at)
            case 3:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                made[at:to] = other[start : start + to - at]
            case 4:  # a number that says how much there is
                digits = [found.span() for found in re.finditer(rb"\d+", made[at : at + 2000])]
                if digits:
                    first, last = chance.choice(digits)
                    made[at + first : at + last] = chance.choice((b"0", b"-1", b"9" * 12))
            case 5:
                made[at:to] = chance.choice((b"\xff", b"\0")) * (to - at)
            case _:
                if at < len(made):
                    made[at] ^= 1 << chance.randrange(8)
    return bytes(made)


def copy_of(one: Sample, samples: Sequence[Sample], chance: random.Random) -> bytes:
    """A damaged copy; of a zip, mostly with the damage in its members."""
    others = [other.data for other in samples]
    if not one.members or chance.random() < 0.3:
        return damaged(one.data, others, chance)
    names = [name for name, data in one.members if data]
    hit = set(chance.sample(names, min(len(names), chance.choice((1, 1, 2, 5)))))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = [data for _, data in one.members if data]
        for name, data in one.members:
            archive.writestr(name, damaged(data, parts, chance) if name in hit else data)
    return packed.getvalue()


def fuzz(samples: Sequence[Sample], count: int, seed: int = 1) -> Outcome:
    """Parse so many damaged copies, as many of each format."""
    from tests.documents.fuzzing import by_name  # where workers find it, also of a script

    outcome = Outcome()
    chance = random.Random(seed)
    by_format: dict[str, list[Sample]] = {}
    for one in samples:
        by_format.setdefault(one.format.name, []).append(one)
    names = sorted(by_format)
    for number in range(count):
        name = names[number % len(names)]
        one = chance.choice(by_format[name])
        data = copy_of(one, samples, chance)
        started = time.monotonic()
        try:
            made = workers.parse(by_name, data, Source(one.name))
            for document in made:
                check(document.text, document.outline)
            outcome.read[name] += 1
        except DocumentError as error:
            said = str(error)
            if "\n" in said:
                outcome.faults.append(f"{number} {one.name}: more than a line: {said!r}")
            if said.startswith("its parser "):
                outcome.ended[name, said] += 1
                if "failed" in said:
                    outcome.faults.append(f"{number} {one.name}: {said}")
            else:
                outcome.refused[name] += 1
        except AssertionError as error:
            outcome.faults.append(f"{number} {one.name}: its outline is wrong: {error}"[:300])
        took = time.monotonic() - started
        outcome.slowest = max(outcome.slowest, (took, f"{number} {one.name}"))
    return outcome


def main() -> None:
    count, *folders = sys.argv[1:]
    samples = own_samples()
    if folders:
        paths = [path for folder in folders for path in sorted(Path(folder).rglob("*"))]
        samples = [sample(path.name, path.read_bytes()) for path in paths if path.is_file()]
    outcome = fuzz([one for one in samples if one.data], int(count))
    for name in sorted({*outcome.read, *outcome.refused}):
        print(f"{name:12} read {outcome.read[name]:5}, refused {outcome.refused[name]:5}")
    for (name, said), times in sorted(outcome.ended.items()):
        print(f"{name:12} {times:5} times {said}")
    print(f"slowest: {outcome.slowest[0]:.2f} s, {outcome.slowest[1]}")
    for fault in outcome.faults:
        print(fault)
    sys.exit(bool(outcome.faults))


if __name__ == "__main__":
    main()
