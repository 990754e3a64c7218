"""The judges: plain NumPy, from which the compiled kernels of the same names must not differ by a bit."""
