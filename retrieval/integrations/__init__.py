"""Adapters to other libraries: each a package of its own, which needs that library installed."""
