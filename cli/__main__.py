"""Runs the command line: ``python -m cli``."""

import sys

try:
    from cli.program import main

    if __name__ == "__main__":
        main()
except (ModuleNotFoundError, SyntaxError) as error:
    missing = (
        f"{error.name} is not installed" if isinstance(error, ModuleNotFoundError) else "Python is too old"
    )
    sys.exit(f"steward: {missing}; run: make setup")
except KeyboardInterrupt:
    sys.exit(130)
