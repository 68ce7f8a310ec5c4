"""Files that several processes share: locks and claims."""
