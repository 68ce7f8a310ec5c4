"""`python -m retrieval` is `retrieval`."""

from retrieval.cli import main

main()
