"""`python -m console` is `tieout`."""

from console.cli import main

main(prog_name="tieout")
