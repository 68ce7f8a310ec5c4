"""`retrieval eval make`: collecting queries into a test set, and judging in the terminal."""
