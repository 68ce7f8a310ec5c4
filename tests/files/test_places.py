"""What a user names is a URL, a folder, or neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.files.places import absolute_source, is_url


def test_a_url_is_told_from_a_folder() -> None:
    assert is_url("s3://bucket/name") and is_url("file:///folder")
    assert not is_url("folder/of/an/index") and not is_url("C:/folder") and not is_url(None)


def test_a_folder_is_named_from_the_root_and_a_hub_id_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert absolute_source("owner/model") == str((tmp_path / "owner" / "model").resolve())
    assert absolute_source(Path("~/owner/model")) == absolute_source("owner/model")
    assert absolute_source("owner/other") == "owner/other"
