"""Training on your own data: the parts of `retrieval train`.

    task            queries with and without labels; which are held out
    pseudo_queries  an index's own titles, headings and docstrings as queries
    pairs           queries and texts from source code and headings
    mining          texts that a search mistakes for the answer
    candidates      teachers' scores of these
    teachers        encoders and cross-encoders that score candidates
    cross_encoder   a model that reads a query and a text together
    teacher_cache   an encoder's vectors, cached on disk
    student         the network that learns: a trunk, a dense head, a token head
    ranking         losses over candidates
    schedule        the course of the learning rate
    finetune        the run
    heldout         figures before and after
    adapt           all of these in order
    run_folder      the folder of a run, and which run it belongs to
    card            the README of the trained model

    interruption    Ctrl-C: the current step is finished
    precision       the fastest precision of a device
    processes       training in a single process

From `student` on they need torch; import the modules themselves.
"""
