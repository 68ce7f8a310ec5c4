"""What a process holds of mapped files."""

import mmap
from pathlib import Path

from retrieval.files.resident import resident_of_files
from tests.indexes.mapped import mapped_megabytes, on_linux


@on_linux
def test_it_is_what_the_system_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(32 << 20))
    before = resident_of_files()
    assert before is not None
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as held:
        assert sum(held[:: mmap.PAGESIZE]) == 0
        now = resident_of_files()
        assert now is not None
        assert 28 << 20 < now - before < 36 << 20
        assert abs(now / (1 << 20) - mapped_megabytes()) < 4
