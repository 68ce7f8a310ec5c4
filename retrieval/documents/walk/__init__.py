"""Which files a folder gives: the walk, and git's rules of what to leave out."""
