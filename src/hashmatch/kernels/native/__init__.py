"""The compiled kernels, where they were built; each has a judge of the same name in `hashmatch.kernels.numpy`."""
