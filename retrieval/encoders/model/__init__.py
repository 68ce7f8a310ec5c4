"""The network: its configuration, layers, heads and weights."""
