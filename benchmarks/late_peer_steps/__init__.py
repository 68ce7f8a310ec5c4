"""Steps of `late_peers.py`, for the peers' own environment: nothing of this project is imported."""
