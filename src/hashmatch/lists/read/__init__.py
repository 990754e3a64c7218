"""What readers take from a list file: rows, changes, record streams, read views."""
