"""Our encoders and retrievers as MTEB models, and our figures in MTEB's format.

`RetrieverModel` searches a task's corpus with one of the four retrievers, `EncoderModel` provides
dense vectors for any task, `model_meta` describes either, and `write_results` has MTEB score the
runs of `retrieval eval mteb:TASK`.
"""

from retrieval.errors import MissingDependency

try:
    import mteb  # noqa: F401
except ImportError as error:
    raise MissingDependency(
        f"the adapters to MTEB need mteb, which cannot be imported ({error}): "
        "pip install 'modernbert-retrieval[mteb]'"
    ) from None

from retrieval.integrations.mteb.encoder import EncoderModel
from retrieval.integrations.mteb.meta import model_meta
from retrieval.integrations.mteb.results import write_results
from retrieval.integrations.mteb.retriever import RetrieverModel

__all__ = ["EncoderModel", "RetrieverModel", "model_meta", "write_results"]
