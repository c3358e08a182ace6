"""`python -m sdeiviz`: the same as the `sdeiviz` command."""

import sys

from sdeiviz.cli import main

if __name__ == "__main__":
    sys.exit(main())
