"""The Model Context Protocol over standard input and output: how coding agents ask an index.

wire      JSON-RPC messages, one a line: versions, requests, progress, cancellation
tools     the tools and what they answer
updating  the index made or brought up to date behind a call
stdio     the server on the streams of this process

Nothing heavy is imported before `initialize` is answered.
"""
