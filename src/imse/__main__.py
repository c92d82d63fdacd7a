"""`python -m imse`."""

from imse.cli import main

main()
