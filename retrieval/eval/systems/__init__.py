"""What is compared: retrievers of an index of ours, and others on the same collections.

system                  what every system can do, and what is kept of building it
shared_index, variants  our retrievers, and the settings that they are built and asked with
bm25, run_file, sentence_transformers    the others
by_name                 all of them, by the names that users give them
"""

from retrieval.eval.systems.by_name import make_systems
from retrieval.eval.systems.shared_index import IndexSystem, SharedIndex
from retrieval.eval.systems.system import System

__all__ = ["IndexSystem", "SharedIndex", "System", "make_systems"]
