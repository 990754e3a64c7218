"""One file a target; each has ``DESCRIPTION`` and ``case_runner(options)``."""
