"""The parts of `shards.py`."""
