"""What commands print: text, JSON, progress and colours."""
