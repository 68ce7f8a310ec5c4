"""sentence-transformers folders: a Transformer, pooling, Dense modules, Normalize; dense vectors.

Read as sentence-transformers 6 reads them, in the layout of every release, but for one thing: the
vectors that come out have unit length even where the folder has no Normalize module. A model whose
scores depend on the length of its vectors is refused.
"""

from __future__ import annotations

from torch import nn

from retrieval.encoders.checkpoints.folder import Folder, NotNative
from retrieval.encoders.checkpoints.modules import (
    check_similarity,
    input_vectors,
    pooling_modes,
    read_modules,
    read_projection,
    side_prompts,
    transformer_settings,
)
from retrieval.encoders.checkpoints.tokenizer import longest_text, read_tokenizer
from retrieval.encoders.checkpoints.transformers import read_config, read_trunk
from retrieval.encoders.model.heads import PooledHead, UnitLength
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.sides import Side

SETTINGS = "config_sentence_transformers.json"


def read(folder: Folder) -> Checkpoint:
    """A pipeline of dense vectors.

    Raises:
        CheckpointError: a file is missing or broken, or the model needs lengths of vectors.
        NotNative: it has a module, or a setting of one, that is not known here.
    """
    settings = folder.object(SETTINGS, optional=True)
    modules = read_modules(folder)
    root = modules[0].folder
    config = read_config(root)
    transformer = transformer_settings(modules[0])

    head: PooledHead | None = None
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    for module in modules[1:]:
        steps = before if head is None else after
        stage = "token_embeddings" if head is None else "sentence_embedding"
        if module.kind == "Pooling" and head is None:
            include_prompt = bool(module.config.get("include_prompt", True))
            head = PooledHead(pooling_modes(module), include_prompt=include_prompt)
        elif (
            module.kind in ("Dense", "Normalize")
            and input_vectors(module, "sentence_embedding") == stage
        ):
            steps.append(read_projection(module) if module.kind == "Dense" else UnitLength())
        else:
            raise NotNative(f"it has a {module.kind} module at a place where none is known")
    if head is None:
        raise NotNative("it has no Pooling module")
    head.before, head.after = nn.Sequential(*before), nn.Sequential(*after)
    similarity = str(settings.get("similarity_fn_name") or "cosine")
    check_similarity(folder, similarity, bool(after) and isinstance(after[-1], UnitLength))

    lower = bool(transformer.get("do_lower_case", False))
    tokenizer, vocabulary = read_tokenizer(root, config.vocab_size, lower=lower)
    longest = transformer.get("max_seq_length") or longest_text(root, config.max_positions)
    query, document = side_prompts(settings)
    return Checkpoint(
        folder.name,
        Network(read_trunk(root), dense=head),
        tokenizer,
        vocabulary,
        document=Side(int(longest), prompt=document),
        query=Side(int(longest), prompt=query),
    )
