"""One small file a contender; each benchmark says what its contenders must offer."""
