"""The Model Context Protocol: the interface of coding agents to an index.

wire      JSON-RPC messages: versions, requests, progress, cancellation
lines     messages as lines of two streams
http      messages as requests of HTTP, with a response at once or a stream of events
tools     the tools
results   the tools' results
updating  creating or updating the index during a call
clients/  the server's entry in the configuration of client programs
stdio     the server on the streams of this process

Nothing heavy is imported before `initialize` is answered.
"""
