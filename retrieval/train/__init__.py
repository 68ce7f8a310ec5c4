"""Training: distillation of a small ModernBERT from teachers, with pairs of query and text.

    pairs           queries and texts out of source code, headings, train splits
    decontaminate   keep test collections out of what is learnt
    corpus          text as windows of token ids
    student         the network that learns: a trunk, a dense head, a token head
    teacher         whose vectors it learns
    lessons         what is learnt of each of several teachers
    goals           what one teacher makes of a batch
    kept_vectors    the same on the disk, made once
    losses          distances to the teachers, and contrast between pairs
    schedule        the course of the learning rate
    distill         the run: resumable, checkpointed, in one process or several
    gather          a batch that several processes have read

    joined          long texts, of which the teacher reads a window at a time
    averaging       the mean of the weights before and after
    query_weights   what a token counts in a query

Fine-tuning, `retrieval train`:

    task            queries with and without labels; what is held out
    pseudo          an index's own titles, headings and docstrings as queries
    mining          texts that a search mistakes for the answer
    candidates      what teachers think of them
    teacher_cache   their vectors, kept on the disk
    ranking         losses over candidates
    finetune        the run
    heldout         figures before and after
    adapt           all of it in order
    card            the README of what came out

Pretraining, with masked language modelling alone, as ModernBERT was trained:

    tokens          whole texts as token ids on the disk
    packing         flat batches of whole sequences
    masking         what is hidden; the network that guesses it
    phases          short texts, long texts, decay
    optimisers      Muon and AdamW
    tiling          a larger model begun from a smaller one
    distributed     several processes, here and in distillation
    checkpoint      the state of a run, and the model's folder
    pretrain        the run

From `student` on, and for pretraining, they need torch; import the modules themselves, as
`recipes/` does.
"""
