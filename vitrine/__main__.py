"""`python -m vitrine`: the `vitrine` command."""

import sys

from vitrine.cli import main

if __name__ == "__main__":
    sys.exit(main())
