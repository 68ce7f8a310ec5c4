"""What the command line, servers and adapters share: none of them knows another.

location    where an index is, and what a file is called from here
opening     an index opened, or made if there is none
updating    files and folders brought into it, and whether they changed since
watching    the same whenever they change
preview     what that would do
contents    its documents, chosen by paths, globs, ids and filters
overview    what is in it by folder, format and language, and what is left out
kept_open   an index that a server keeps open, and moves on when it changed
lookup      a document by path or id: its lines, its outline, what is like it
hit_names   the name of a hit's place, as it is shown
places      a place that a hit names, found again
arguments   what a server is called with, as JSON Schema, checked
scoring     texts as vectors, and how well texts answer a query
searching   a query asked, with what its tokens matched on demand
snippet     the lines of a passage that answer the query
printable   text that is safe to show
json_shape  hits, reports and facts as plain values
machine     what this machine would run each part on, and why
viewing/    a document's structure, colours and pages, for a page that shows it
exporting/  passages and vectors written for another system
"""
