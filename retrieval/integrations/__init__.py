"""Adapters to other libraries, one package each; each needs its library installed."""
