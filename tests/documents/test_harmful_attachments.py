"""Files in mail that end the process which reads them: the messages are read all the same."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.documents import discover, read, workers
from retrieval.documents.formats import Source
from retrieval.documents.formats.mail.message import parse_outlook_without_files

from .compound_files_for_tests import compound
from .messages_for_tests import message
from .pdf.test_hostile import NESTED
from .test_outlook import attachment
from .test_outlook import message as of_outlook


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers that give a file 3 seconds."""
    monkeypatch.setattr(workers.limits, "SECONDS", 3)
    started = "from retrieval.documents.workers import limits; limits.SECONDS = 3; main()"
    monkeypatch.setattr(workers.pool, "_START", workers.pool._START.replace("main()", started))
    workers.stop()
    yield
    workers.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_an_attachment_that_never_ends_costs_only_attachments(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "in.mbox")
    harmful = message("the harmful one", number=2)
    harmful.add_attachment(NESTED, maintype="application", subtype="pdf", filename="a.pdf")
    for one in (message("before", number=1), harmful, message("after", number=3)):
        box.add(one)
    box.close()
    (file,) = discover([tmp_path], tmp_path)
    result = read(file)
    assert [one.metadata["message_id"][0] for one in result.documents] == ["1", "2", "3"]
    assert result.documents[1].metadata["attachments"] == ["a.pdf"]
    (problem,) = result.problems  # how the process ends depends on the machine
    assert problem.startswith("in.mbox: its parser ")
    assert problem.endswith("; read without some of the files in it")


def test_without_files_the_messages_of_outlook_are_read_too() -> None:
    attached = {"__attach_version1.0_#00000000": attachment("a.pdf", NESTED)}
    (made,) = parse_outlook_without_files(compound(of_outlook(**attached)), Source("a.msg"))
    assert "the pump fails" in made.text and made.metadata["attachments"] == ["a.pdf"]
