"""Pictures looked at in worker processes: what is asked, what is answered, and both ends of it.

The jail itself knows nothing of pictures, and those who ask know nothing of processes.
"""
