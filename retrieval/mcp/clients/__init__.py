"""The server's entry in the configuration of client programs: adding and removing it.

forms       the programs: where each keeps its configuration, and the form of an entry
jsonc       a value set in, or removed from, JSON with comments; the rest stays as it is
toml        the same for TOML
installing  computing and making the change
"""
