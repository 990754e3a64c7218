"""Other ways of looking at a query: trimmed of borders, uncropped, turned."""
