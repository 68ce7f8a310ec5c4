"""Documents in, one commit after another out."""
