"""`python -m textrip`."""

from textrip.cli.main import app

app(prog_name="textrip")
