"""The service with a low limit on open files.

Run as `python -m tests.support.few_files serve`. The limit is the environment variable
`OPEN_FILES`.
"""

import os
import resource
import sys

from app.__main__ import main

if __name__ == "__main__":
    limit = int(os.environ["OPEN_FILES"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    sys.exit(main(sys.argv[1:]))
