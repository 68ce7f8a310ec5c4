"""What each format makes of a file's content."""
