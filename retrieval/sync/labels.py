"""Labels that classifiers add to documents' metadata as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.errors import CheckpointError, InputError
from retrieval.files.regular import open_regular
from retrieval.types import Document

if TYPE_CHECKING:
    from retrieval.encoders.classifier import Classifier

_DECISIVE = ("config.json", "tokenizer.json", "tokenizer_config.json", "*.safetensors")
"""The files that determine a classifier's output."""


@dataclass(frozen=True, slots=True)
class LabelField:
    """A classifier and the metadata key that it fills.

    Attributes:
        model: the classifier's folder, an absolute path.
        fingerprint: digest of its files when documents were labelled; "" if unknown.
    """

    model: str
    field: str
    fingerprint: str = ""


def parse(given: str) -> LabelField:
    """Parse `MODEL:FIELD`, where MODEL is a folder.

    Raises:
        InputError: it is something else.
    """
    model, colon, field = given.rpartition(":")
    if not colon or not model or not field:
        raise InputError(f"label {given!r} cannot be used; expected MODEL:FIELD")
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise InputError(f"label {given!r}: there is no folder {model}; give a classifier's")
    return LabelField(str(folder.resolve()), field)


def from_json(kept: Sequence[dict[str, Any]]) -> tuple[LabelField, ...]:
    """Read what `to_json` wrote."""
    return tuple(LabelField(one["model"], one["field"], one["fingerprint"]) for one in kept)


def to_json(fields: Sequence[LabelField]) -> list[dict[str, Any]]:
    """The form in which an index stores them."""
    return [asdict(one) for one in fields]


class Labeller:
    """Labels documents; loads the classifiers on first use."""

    def __init__(self, fields: Sequence[LabelField]) -> None:
        self.fields = tuple(fields)

    @cached_property
    def _classifiers(self) -> list[Classifier]:
        return [_load(field) for field in self.fields]

    def known(self) -> tuple[LabelField, ...]:
        """The fields with the present fingerprints of their classifiers, which are not loaded."""
        return tuple(
            replace(field, fingerprint=_digest(_folder_of(field))) for field in self.fields
        )

    def label(self, documents: Sequence[Document]) -> list[Document]:
        """The documents with metadata added: each text's label, or its entities by label."""
        if not self.fields or not documents:
            return list(documents)
        made: list[dict[str, Any]] = [{} for _ in documents]
        texts = [document.text for document in documents]
        for field, classifier in zip(self.fields, self._classifiers, strict=True):
            values: Sequence[Any]
            if classifier.by_token:
                values = [
                    _by_label(text, found)
                    for text, found in zip(texts, classifier.entities(texts), strict=True)
                ]
            else:
                values = classifier.labels_of(texts)
            for own, value in zip(made, values, strict=True):
                own[field.field] = value
        return [
            replace(document, metadata={**document.metadata, **own})
            for document, own in zip(documents, made, strict=True)
        ]


def _by_label(text: str, entities: Sequence[Any]) -> dict[str, list[str]]:
    """The distinct entities of a text by label, in order."""
    found: dict[str, dict[str, None]] = {}
    for entity in entities:
        found.setdefault(entity.label, {})[text[entity.start : entity.end]] = None
    return {label: list(words) for label, words in found.items()}


def _load(field: LabelField) -> Classifier:
    from retrieval.encoders.classifier import load_classifier

    return load_classifier(_folder_of(field))


def _folder_of(field: LabelField) -> Path:
    """The classifier's folder; a model named by an index is never downloaded."""
    if not Path(field.model).is_dir():
        raise CheckpointError(
            f"the classifier {field.model} of the field {field.field!r} is gone; give it again as "
            f'--label MODEL:{field.field}, or --label "" for none'
        )
    return Path(field.model)


def _digest(folder: Path) -> str:
    """Hex digest of the files that determine a classifier's output."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _DECISIVE for path in folder.glob(pattern)):
        try:
            with open_regular(path) as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
        digest.update(f"{path.name} {own}".encode())
    return digest.hexdigest()
