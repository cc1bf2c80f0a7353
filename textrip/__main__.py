"""`textrip` and `python -m textrip`."""

import signal


def main() -> None:
    """Run the program; an interrupt while it is imported ends it without a traceback: nothing is begun."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from textrip.cli.main import app  # which listens from here on

    app(prog_name="textrip")


if __name__ == "__main__":
    main()
