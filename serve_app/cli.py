"""The command `sentiment`: each sub-command is `main(argv)` of a module in `serve_app.jobs`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

COMMANDS = {
    "prepare": "make the folder that replicas load, from a hub id or a local folder",
    "run": "serve on this machine: API, page and dashboard, until Ctrl-C",
    "score": "label every row of files of any size, on all CPUs of a cluster",
    "compare": "torch and ONNX on your labelled texts: answers, speed, and which to run",
    "key": "make, list and revoke API keys",
}

USAGE = "\n".join(
    [
        "usage: sentiment COMMAND [options]",
        "",
        *(f"  {name:9} {what}" for name, what in COMMANDS.items()),
        "",
        "sentiment COMMAND --help says more of one.",
    ]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(version("sentiment-service"))
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        print(f"sentiment: there is no command {command!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    # Imported when asked for: `prepare` needs optimum, `run` needs Ray, neither the other's.
    try:
        module = import_module(f"serve_app.jobs.{command}")
        code: int = module.main(rest)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "serve_app":
            raise
        print(
            f"sentiment: {command} needs {error.name}, which is not installed: `make install` in"
            " the repository brings all that is needed.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:  # while it was still being imported
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
