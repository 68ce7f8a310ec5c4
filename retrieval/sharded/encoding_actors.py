"""Encoding by actors of a Ray cluster: tasks that write shards send them texts, and get vectors.

So tasks need no GPU of their own, and each GPU loads the network once.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.loading import load_again
from retrieval.errors import InputError, RetrievalError, StorageError
from retrieval.store import Settings
from retrieval.types import Embeddings, Encoder, PendingEmbeddings, SpanEncoder

_AT_ONCE = 4
"""Concurrent calls per actor, so that texts are tokenised while the network works."""

_START_SECONDS = 300.0
"""An actor that has not loaded its network by then gets no work: its GPU is taken."""


@dataclass(frozen=True, slots=True)
class ActorKind:
    """The kind of encoding actors.

    Attributes:
        device: device of the torch encoder.
        gpus: GPUs per actor.
        count: number of actors; None is as many as the cluster's GPUs allow.
    """

    device: str
    gpus: float
    count: int | None = None


ON_GPUS = ActorKind("cuda", 1.0)


class _EncodingActor:
    """Encodes for tasks; loads its network with the first call, even after a restart."""

    def __init__(self, source: str | None, device: str, fingerprint: str) -> None:
        self._named = source, device, fingerprint

    @cached_property
    def _encoder(self) -> Encoder:
        return load_again(*self._named)

    def load(self) -> None:
        """Load the network."""
        _ = self._encoder

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        return self._encoder.encode_documents(texts)

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        assert isinstance(self._encoder, SpanEncoder)
        return self._encoder.encode_spans(text, spans)


class EncodingActors:
    """The actors of a build; stopped by `stop`."""

    def __init__(self, settings: Settings, kind: ActorKind) -> None:
        """Start them.

        Args:
            settings: the collection's settings, which name the encoder.
            kind: their device and number.

        Raises:
            InputError: the cluster has no GPU, or all are in use.
            RetrievalError: the encoder cannot be loaded on the cluster.
        """
        import ray

        count = kind.count
        if count is None:
            resources: Any = ray.cluster_resources
            count = int(resources().get("GPU", 0) / kind.gpus)
        if not count:
            raise InputError(
                "no machine of the Ray cluster has a GPU; leave --encode-on out, or add one with "
                "`ray start --address HOST:PORT`"
            )
        self._settings = settings
        remote: Any = ray.remote
        actor = remote(
            num_cpus=0,  # tasks that wait for actors may need all cores
            num_gpus=kind.gpus,
            max_concurrency=_AT_ONCE,
            max_restarts=-1,
            max_task_retries=-1,
        )(_EncodingActor)
        named = settings.encoder_source, kind.device, settings.fingerprint
        self._actors = [actor.remote(*named) for _ in range(count)]
        try:
            self._actors = self._loaded()
        except BaseException:
            self.stop()
            raise

    def _loaded(self) -> list[Any]:
        import ray

        loading = {one.load.remote(): one for one in self._actors}
        done, late = ray.wait(list(loading), num_returns=len(loading), timeout=_START_SECONDS)
        for one in done:
            _result(one)
        for one in late:
            ray.kill(loading[one])
        if not done:
            raise InputError(
                f"no GPU of the Ray cluster became free in {_START_SECONDS:.0f} s; leave "
                "--encode-on out, or wait until they are free"
            )
        return [loading[one] for one in done]

    def encoder(self) -> ActorEncoder:
        """The encoder for tasks."""
        settings = self._settings
        return ActorEncoder(settings.encoder_source, settings.fingerprint, self._actors)

    def stop(self) -> None:
        """Stop the actors."""
        import ray

        for one in self._actors:
            with suppress(Exception):
                ray.kill(one)


class ActorEncoder:
    """Implements `retrieval.types.Encoder` by actors; token spans come from a local encoder."""

    def __init__(self, source: str | None, fingerprint: str, actors: Sequence[Any]) -> None:
        """Args: the encoder's source and fingerprint; the actors. Can be pickled in the cluster."""
        self.fingerprint = fingerprint
        self._source, self._actors = source, actors

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorEncoder, (self._source, self.fingerprint, self._actors)

    @cached_property
    def _here(self) -> Encoder:
        return load_again(self._source, None, self.fingerprint)

    @cached_property
    def _turns(self) -> itertools.cycle[Any]:
        # Each task begins with a random actor.
        return itertools.cycle(random.sample(self._actors, len(self._actors)))

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self._here.name

    @property
    def dense_dim(self) -> int | None:
        """The encoder's `dense_dim`."""
        return self._here.dense_dim

    @property
    def token_dim(self) -> int | None:
        """The encoder's `token_dim`."""
        return self._here.token_dim

    @property
    def max_tokens(self) -> int:
        """The encoder's `max_tokens`."""
        return self._here.max_tokens

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Character spans of the text's tokens, see `retrieval.types.Encoder`."""
        return self._here.token_spans(text)

    def start_documents(self, texts: Sequence[str]) -> PendingEmbeddings:
        """Begin to encode texts of the document side."""
        return _Pending(next(self._turns).encode_documents.remote(list(texts)))

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the document side, in the order given."""
        return self.start_documents(texts).result()

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        """Embeddings of spans of one document that is read as a whole."""
        made: Embeddings = _result(next(self._turns).encode_spans.remote(text, list(spans)))
        return made

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the query side, computed locally, since builds do not search."""
        return self._here.encode_queries(texts)


class _Pending:
    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def result(self) -> Embeddings:
        made: Embeddings = _result(self._reference)
        return made

    def cancel(self) -> None:
        import ray

        ray.cancel(self._reference)


def _result(reference: Any) -> Any:
    """What an actor returned, or raised."""
    import ray
    from ray import exceptions

    try:
        return ray.get(reference)
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, RetrievalError):
            raise error.cause from None
        line = " ".join(f"{type(error.cause).__name__}: {error.cause}".split())
        raise StorageError(f"an encoding actor failed ({line:.300}); run it again") from None
    except exceptions.RayError as error:
        line = " ".join(str(error).split())
        raise StorageError(
            f"an encoding actor ended ({type(error).__name__}: {line:.200}); run it again"
        ) from error
