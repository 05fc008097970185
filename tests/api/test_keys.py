"""API keys: what is kept of them, and how the service follows its file."""

import errno
import io
import json
import os
import stat
from pathlib import Path

import pytest

from serve_app.api.client import RefusedError
from serve_app.api.keys import KeyFile, KeysError, Records, make, read, write
from serve_app.jobs.key import main
from tests.api.asking import client
from tests.api.log import logged
from tests.api.world import World


def create(file: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    capsys.readouterr()
    assert main(["create", "--file", str(file), *options]) == 0
    return capsys.readouterr().out.strip()


def test_a_key_is_printed_once_and_only_its_hash_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    key = create(file, capsys, "--name", "team-a", "--scopes", "infer,stream")
    assert key.startswith("sentiment_")
    assert len(key) == len("sentiment_") + 43
    text = file.read_text()
    assert key not in text
    assert key.removeprefix("sentiment_") not in text
    (kept,) = json.loads(text)["keys"]
    assert kept.keys() == {"name", "scopes", "created", "sha256"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    got = KeyFile(file).client(key)
    assert got.id == "key:team-a"
    assert got.scopes == {"infer", "stream"}
    assert list(tmp_path.iterdir()) == [file], "no temporary file is left"


def test_a_key_that_nobody_saw_is_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "keys.json"
    for stdout, said in ((Full(), "No space left on device; none was made"), (None, "nowhere")):
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", stdout)
            assert main(["create", "--file", str(file), "--name", "a"]) == 1
        assert said in capsys.readouterr().err
    assert not file.exists()


def test_keys_are_listed_and_revoked_by_name_or_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    keys = [create(file, capsys, "--name", name) for name in ("a", "a", "b", "c")]
    assert main(["list", "--file", str(file)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(line[3], line[4]) for line in lines] == [
        (name, "infer,stream") for name in ("a", "a", "b", "c")
    ]
    assert main(["revoke", "--file", str(file), "a"]) == 0
    assert main(["revoke", "--file", str(file), lines[3][0]]) == 0
    assert [record.name for record in read(file).keys] == ["b"]
    keyfile = KeyFile(file)
    assert keyfile.client(keys[2]).id == "key:b"
    for revoked in (keys[0], keys[1], keys[3]):
        with pytest.raises(RefusedError):
            keyfile.client(revoked)
    assert main(["revoke", "--file", str(file), "a"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--name", "a b"],
        ["--name", ""],
        ["--name", "a" * 65],
        ["--name", "a", "--scopes", "infer,root"],
        ["--name", "a", "--scopes", ""],
        [],
    ],
)
def test_what_cannot_be_a_key_is_refused(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    try:
        code = main(["create", "--file", str(file), *options])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code in (1, 2)
    assert not file.exists()
    assert capsys.readouterr().err


def test_a_file_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "no" / "keys.json"
    assert main(["list", "--file", str(missing)]) == 1
    assert main(["create", "--name", "a", "--file", str(missing)]) == 1
    assert "cannot be" in capsys.readouterr().err
    with pytest.raises(KeysError, match="No such file"):
        World(auth="api-key", api_keys=missing)


def secret(folder: Path, version: str, records: Records) -> None:
    """What Kubernetes does on a change of a mounted Secret: `..data` is swapped to a new folder."""
    (folder / version).mkdir()
    write(folder / version / "keys.json", records)
    (folder / "new").symlink_to(version)
    (folder / "new").rename(folder / "..data")


def test_a_swapped_secret_is_followed_at_once(tmp_path: Path) -> None:
    old_key, old = make("old", ("infer",))
    new_key, new = make("new", ("infer",))
    secret(tmp_path, "..1", Records(keys=(old,)))
    file = tmp_path / "keys.json"
    file.symlink_to("..data/keys.json")
    keys = KeyFile(file)
    assert keys.client(old_key).id == "key:old"
    secret(tmp_path, "..2", Records(keys=(new,)))
    assert keys.client(new_key).id == "key:new"
    with pytest.raises(RefusedError, match="not known"):
        keys.client(old_key)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Invalid JSON"),
        ("[]", "the file"),
        ('{"keys": [{"name": "a"}]}', "keys.0"),
        ('{"keys": [], "more": 1}', "more"),
        (None, "No such file"),
    ],
)
async def test_a_broken_file_leaves_the_last_keys_in_force_and_says_so(
    tmp_path: Path, content: str | None, why: str
) -> None:
    file = tmp_path / "keys.json"
    key, record = make("a", ("infer",))
    write(file, Records(keys=(record,)))
    headers = {"Authorization": f"Bearer {key}"}
    async with client(World(auth="api-key", api_keys=file).app) as http:

        async def status() -> int:
            answer = await http.post("/onnx/infer", json={"input": "a"}, headers=headers)
            return answer.status_code

        assert await status() == 200
        assert (await http.get("/ready")).json()["identity"] == {"api-key": "ready"}
        with logged() as messages:
            if content is None:
                file.unlink()
            else:
                file.write_text(content)
            assert [await status() for _ in range(3)] == [200] * 3
        assert len(messages) == 1, "once, not at each request"
        assert why in messages[0]
        assert record.sha256 not in messages[0]
        ready = await http.get("/ready")
        assert ready.status_code == 200
        assert why in ready.json()["identity"]["api-key"]
        with logged() as messages:
            write(file, Records())
            assert await status() == 401
        assert (await http.get("/ready")).json()["identity"] == {"api-key": "ready"}


def test_a_read_that_fails_in_passing_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was revoked at that moment would stay valid for good."""
    monkeypatch.setattr("serve_app.api.keys.AGAIN_S", 0.0)
    file = tmp_path / "keys.json"
    key, record = make("leaver", ("infer",))
    write(file, Records(keys=(record,)))
    keys = KeyFile(file)

    def fails(_: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch, logged() as messages:
        patch.setattr(Path, "read_bytes", fails)
        write(file, Records())
        for _ in range(3):
            assert keys.client(key).id == "key:leaver"
        assert "Too many open files" in keys.fault
    assert len(messages) == 1
    with pytest.raises(RefusedError):
        keys.client(key)
    assert not keys.fault


def test_a_link_stays_one_and_its_target_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, link = tmp_path / "kept" / "keys.json", tmp_path / "keys.json"
    target.parent.mkdir()
    write(target, Records())
    target.chmod(0o640)
    link.symlink_to("kept/keys.json")
    key = create(link, capsys, "--name", "a")
    assert link.is_symlink()
    assert KeyFile(target).client(key).id == "key:a"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_new_file_belongs_to_whom_the_old_one_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    write(file, Records())
    os.chown(file, 1, 2)
    create(file, capsys, "--name", "a")
    assert (file.stat().st_uid, file.stat().st_gid) == (1, 2)

    def refuse(*_: object) -> None:
        raise PermissionError

    before = file.read_bytes()
    monkeypatch.setattr(os, "chown", refuse)
    assert main(["create", "--file", str(file), "--name", "b"]) == 1
    assert "belongs to user 1 and group 2, to whom" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_two_keys_of_one_hash_prefix_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key, record = make("a", ("infer",))
    twin = record.model_copy(update={"name": "b", "sha256": record.sha256[:8] + "0" * 56})
    for records in ((twin, record), (record, twin)):
        write(file, Records(keys=records))
        assert KeyFile(file).client(key).id == "key:a"
    write(file, Records(keys=(twin,)))
    with pytest.raises(RefusedError, match="not known"):
        KeyFile(file).client(key)


def test_a_file_whose_permissions_are_mended_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write(file, Records(keys=()))
    keys = KeyFile(file)
    before = keys._signature()
    file.chmod(0o640)
    assert keys._signature() != before


def test_a_file_that_comes_back_as_it_was_is_no_fault_any_more(tmp_path: Path) -> None:
    file = tmp_path / "mounted" / "keys.json"
    file.parent.mkdir()
    write(file, Records())
    keys = KeyFile(file)
    file.parent.rename(tmp_path / "away")
    assert "No such file" in keys.state()
    (tmp_path / "away").rename(file.parent)
    assert keys.state() == ""
