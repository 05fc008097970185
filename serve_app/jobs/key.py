"""`sentiment key`: make, list and revoke API keys. The service reads the file again by itself."""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from serve_app.api.client import SCOPES, Scope
from serve_app.api.keys import KeysError, Records, make, read, write

FILE = "SENTIMENT_API_KEYS"


def main(argv: Sequence[str]) -> int:
    """Returns 0, or 1 where nothing was done."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
        return code
    except KeysError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"The file of API keys {options.file} cannot be written: {error.strerror}.")


def _create(options: argparse.Namespace) -> int:
    path: Path = options.file
    if sys.stdout is None:
        return _fail("There is nowhere to show the key; none was made.")
    with _alone(path):
        before = read(path).keys if path.exists() else ()
        try:
            key, record = make(options.name, options.scopes)
        except ValidationError:
            return _fail(
                f"The name {options.name!r} will not do: up to 64 letters, digits and . _ @ -,"
                " beginning with a letter or a digit."
            )
        try:
            print(key, flush=True)  # a key that nobody saw is nobody's
        except OSError as error:
            return _fail(f"The key cannot be shown: {error.strerror}; none was made.")
        write(path, Records(keys=(*before, record)))
    print(
        f"sentiment: this is the only time the key of {record.name} is shown; {path} has its hash"
        f" ({record.handle}) and the scopes {', '.join(record.scopes)}.",
        file=sys.stderr,
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    records = read(options.file).keys
    for record in records:
        scopes = ",".join(record.scopes)
        print(f"{record.handle}  {record.created:%Y-%m-%d %H:%M}  {record.name}  {scopes}")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    path: Path = options.file
    with _alone(path):
        before = read(path).keys
        left = tuple(record for record in before if options.key not in (record.name, record.handle))
        count = len(before) - len(left)
        if not count:
            return _fail(f"{path} has no key with the name or the id {options.key!r}.")
        write(path, Records(keys=left))
    print(f"sentiment: revoked {count} of {len(before)} keys.", file=sys.stderr)
    return 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two commands at once must not lose each other's keys; the file itself is replaced."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _scopes(value: str) -> list[Scope]:
    scopes: list[Scope] = [scope for scope in SCOPES if scope in value.split(",")]
    unknown = set(value.split(",")) - set(scopes)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"there is no scope {sorted(unknown)[0]!r}; there are {', '.join(SCOPES)}"
        )
    return scopes


def _fail(sentence: str) -> int:
    print(f"sentiment: {sentence}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sentiment key", description="API keys of the service.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument(
        "--file",
        type=Path,
        default=Path(os.environ.get(FILE, "keys.json")),
        help=f"of the keys' hashes (default: ${FILE}, else keys.json)",
    )
    create = actions.add_parser("create", parents=[file], help="make a key and print it, once")
    create.add_argument("--name", required=True, help="of the client; keys of one name share it")
    create.add_argument(
        "--scopes",
        type=_scopes,
        default="infer,stream",
        help=f"comma-separated, of {', '.join(SCOPES)} (default: infer,stream)",
    )
    create.set_defaults(run=_create)
    actions.add_parser("list", parents=[file], help="ids, dates, names and scopes").set_defaults(
        run=_list
    )
    revoke = actions.add_parser("revoke", parents=[file], help="take keys out of the file")
    revoke.add_argument("key", help="a name (all keys of it) or an id as `list` shows it")
    revoke.set_defaults(run=_revoke)
    return parser
