"""Training on one's own data: what `retrieval train` does.

    task            queries with and without labels; what is held out
    pseudo_queries  an index's own titles, headings and docstrings as queries
    pairs           queries and texts out of source code and headings
    mining          texts that a search mistakes for the answer
    candidates      what teachers think of them
    teachers        encoders and cross-encoders that score candidates
    cross_encoder   a model that reads a query and a text together
    teacher_cache   an encoder's vectors, kept on the disk
    student         the network that learns: a trunk, a dense head, a token head
    ranking         losses over candidates
    schedule        the course of the learning rate
    finetune        the run
    heldout         figures before and after
    adapt           all of it in order
    run_folder      whose the folder of a run is
    card            the README of what came out

    interruption    Ctrl-C: the step is taken whole
    precision       in which precision a device multiplies fastest
    processes       one process trains

From `student` on they need torch; import the modules themselves.
"""
