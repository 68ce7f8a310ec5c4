"""What every face shares."""
