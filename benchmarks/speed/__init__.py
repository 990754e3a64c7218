"""Speed: how fast it is, and what each step costs."""
