"""`retrieval eval make`: queries gathered into a test set, and judged in the terminal."""
