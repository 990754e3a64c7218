"""How likely a crop or a small rotation is another picture's part: bit odds, likelihoods, candidates, cohorts."""
