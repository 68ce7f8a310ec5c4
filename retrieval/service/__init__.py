"""What the command line, servers and adapters share; none of these imports another.

location      where an index is, and a file's path relative to here
opening       opening an index, or creating it
updating      bringing files and folders into it, and checking whether they changed since
watching      updating whenever files change
preview       what an update would do
contents      its documents, chosen by paths, globs, ids and filters
filter_hints  why a filter may match no document
overview      its contents by folder, format and language, and what is left out
kept_open     an index that a server keeps open, following its newest generation
lookup        a document by path or id: its lines, its outline, similar passages
hit_names     the name of a hit's place, as displayed
places        finding the place that a hit names
arguments     arguments of server requests: JSON Schema, and checks
scoring       encoding texts, and scoring how well texts answer a query
searching     searching, with token matches on request
snippet       the lines of a passage that answer the query
wrapped_lines lines of a paragraph that belong together
printable     text that is safe to print
json_shape    hits, reports and facts as plain values
machine       what this machine would run each part on, and why
viewing/      a document's structure, colours and pages, for a page that shows it
exporting/    writing passages and vectors for another system
"""
