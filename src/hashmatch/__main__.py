"""``python -m hashmatch`` is the command line."""

from hashmatch.cli import main

if __name__ == "__main__":
    main()
