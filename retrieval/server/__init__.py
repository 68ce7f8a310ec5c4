"""HTTP for programs, and a page for people; needs the extra `server`.

running      sockets, the process, its start and its end
memory       what the process asks of the C library
app          the routes
guard        who may ask: Host and Origin, the token; headers of every answer
requests     bodies and queries as checked values, within limits
ndjson       bodies and answers of one JSON value a line
problems     errors as RFC 9457 says them
indexes      the indexes by name
following    indexes that follow their files
endpoints    the table of all that programs may ask
searching, documents, viewing, models, text_embeddings, vector_stores    what the routes do
openapi      the description of all that
metrics      what was done, as Prometheus asks for it
page         the page, whose files are in static/
"""
