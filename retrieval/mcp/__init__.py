"""The Model Context Protocol: how coding agents ask an index.

wire      JSON-RPC messages: versions, requests, progress, cancellation
lines     messages as lines of two streams
http      messages as requests of HTTP, answered at once or as a stream of events
tools     the tools
results   what they answer
updating  the index made or brought up to date behind a call
clients/  the entry in the configuration of the programs that use it
stdio     the server on the streams of this process

Nothing heavy is imported before `initialize` is answered.
"""
