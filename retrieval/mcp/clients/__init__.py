"""The server in the configuration of the programs that use it: an entry put in, and taken out.

forms       the programs: where each keeps its configuration, and the form of an entry
jsonc       a value set in, or removed from, JSON with comments; the rest stays as it is
toml        the same for TOML
installing  what would change, and the change
"""
