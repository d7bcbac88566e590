"""The program."""

import sys

from asd.data.features.command import main

sys.exit(main())
