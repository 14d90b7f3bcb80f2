"""`python -m resurvey`, for jobs whose environment has the package on its path but no console script."""

import sys

from resurvey.cli import main

sys.exit(main())
