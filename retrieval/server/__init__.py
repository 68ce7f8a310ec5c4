"""HTTP for programs, and a page for people; needs the extra `server`.

running      sockets, the process, startup and shutdown
memory       the C library's memory in the process
app          the routes
guard        access: Host and Origin, the token; headers of every response
requests     bodies and queries as checked values, within limits
ndjson       bodies and responses with one JSON value per line
problems     errors as in RFC 9457
indexes      the indexes by name
following    indexes that are updated when their files change
endpoints    the table of all endpoints for programs
searching, documents, viewing, models, text_embeddings, vector_stores    the endpoints' handlers
openapi      the OpenAPI description of the endpoints
metrics      Prometheus metrics
page         the page, whose files are in static/
"""
