"""``python -m mixminion``."""

from mixminion.cli.main import main

if __name__ == "__main__":
    main()
