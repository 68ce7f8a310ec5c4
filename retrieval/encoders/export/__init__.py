"""The network written for other runtimes."""
