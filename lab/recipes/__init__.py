"""The commands that made the embedded model, and others of its kind; README.md says how."""
