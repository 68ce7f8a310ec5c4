"""Parsers of foreign bytes in processes of their own: a file that ends its parser costs itself.

limits       how much memory, time and text a file may take
wire         requests, and what a format made of bytes, as frames of JSON
pool         the processes: started on first use, replaced when a file ended one
worker       what runs in one of them
confinement  what it gives up before it reads anything: files to write, sockets, programs
seccomp      the same, by the kernel, under Linux
"""

from retrieval.documents.workers.confinement import is_worker
from retrieval.documents.workers.pool import ParserEndedError, parse, stop, value

__all__ = ["ParserEndedError", "is_worker", "parse", "stop", "value"]
