"""What only a process of its own can show: a closed pipe, Ctrl-C, another encoding, no network."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textrip.cli.main import _report

PROGRAM = [sys.executable, "-m", "textrip"]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", **changes}


def test_a_closed_pipe_is_quiet(index_folder: Path) -> None:
    questions = "rose soil\n" * 2000  # more than a pipe holds
    with subprocess.Popen(
        [*PROGRAM, "search", str(index_folder), "-", "--mode", "bm25", "--json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True,
    ) as search:  # fmt: skip
        assert search.stdin is not None
        assert search.stdout is not None
        assert search.stderr is not None
        search.stdin.write(questions)
        search.stdin.close()
        assert search.stdout.readline().startswith('{"query": "rose soil", "rank": 1')
        search.stdout.close()
        assert search.stderr.read() == ""
        assert search.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="a shell of its own")
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_that_is_cut_off_is_no_failure(words: list[str]) -> None:
    command = shlex.join([sys.executable, "-m", "textrip", *words])
    # Nobody is there any more when it is printed: the reader has closed its end at once.
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_hides_no_verdict(beir_folder: Path, tmp_path: Path) -> None:
    """2 is what a script asks `check` for, whoever reads what it prints."""
    conflict = tmp_path / "conflict"
    shutil.copytree(beir_folder, conflict)
    with (conflict / "qrels" / "train.tsv").open("a") as stream:
        stream.write("no-such-query\tno-such-document\t1\n" * 2)
    found = f"{sys.executable} -m textrip check {conflict}"
    for pipe in ("", " | true"):
        shell = subprocess.run(
            ["bash", "-c", f"{found} {pipe}; exit ${{PIPESTATUS[0]}}"],
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert shell.returncode == 2, shell.stdout
        assert shell.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="a shell of its own")
@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("--json >&-", 0), ("2>&-", 0), ("--json 2>&-", 0)])
def test_a_stream_that_is_closed_is_no_mistake(closed: str, code: int, index_folder: Path) -> None:
    command = f"{sys.executable} -m textrip search {index_folder} rose {closed}"
    shell = subprocess.run(
        ["bash", "-c", command], env=environment(), capture_output=True, text=True, check=False
    )
    assert shell.returncode == code, shell.stderr
    assert shell.stderr == ""
    if closed == "--json 2>&-":
        assert all(line.startswith("{") for line in shell.stdout.splitlines())


@pytest.mark.skipif(os.name == "nt", reason="a shell of its own")
def test_a_closed_standard_input_holds_no_question(index_folder: Path) -> None:
    command = f"{sys.executable} -m textrip search {index_folder} - <&-"
    shell = subprocess.run(
        ["bash", "-c", command], env=environment(), capture_output=True, text=True, check=False
    )
    assert shell.returncode == 2
    assert "<stdin>: has no question" in shell.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has another Ctrl-C")
@pytest.mark.parametrize("stopping", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_training_exits_with_130_and_leaves_what_can_be_resumed(
    stopping: signal.Signals, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    command = ["fit", beir_folder, "-o", tmp_path / "out", "--model", tiny_encoder_folder, "--epochs", 100000]
    with subprocess.Popen(
        [*PROGRAM, *map(str, command), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True,
    ) as fit:  # fmt: skip
        assert fit.stderr is not None
        for line in fit.stderr:
            if line.startswith("epoch 2:"):
                break
        fit.send_signal(stopping)
        rest = fit.stderr.read()
        code = fit.wait(timeout=60)
    assert code == (130 if stopping == signal.SIGINT else 143)
    assert rest.splitlines()[-1] == "Interrupted: nothing is left half-written."
    assert "Traceback" not in rest
    assert [path.name for path in tmp_path.iterdir()] == ["out.unfinished"]
    assert f"go on with: textrip fit --resume {tmp_path}/out.unfinished" in rest


def test_an_old_console_gets_substitutes_and_json_gets_escapes(index_folder: Path) -> None:
    search = [*PROGRAM, "search", str(index_folder), "-", "--mode", "bm25", "-k", "1"]
    asked = "rose 漢字 🌹\nwave\n".encode()
    old = environment(PYTHONIOENCODING="cp1252")
    person = subprocess.run(search, input=asked, capture_output=True, env=old)
    assert (person.returncode, person.stderr) == (0, b"")
    assert b"? rose ?" in person.stdout
    program = subprocess.run([*search, "--json"], input=asked, capture_output=True, env=old)
    assert b"rose \\u6f22\\u5b57 \\ud83c\\udf39" in program.stdout


# Python tells every attempt to resolve a name or to connect; a library cannot pass this by.
GUARD = """
import json, sys

def guard(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}:
        print("NETWORK", event, arguments, file=sys.stderr)
        raise RuntimeError("the network was tried")

sys.addaudithook(guard)
from textrip.cli.main import app

for command in json.loads(sys.argv[1]):
    sys.argv = ["textrip", *command]
    try:
        app()
    except SystemExit as ended:
        print("ENDED", ended.code, file=sys.stderr)
"""


def test_nothing_tries_the_network(beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    commands: list[list[Any]] = [
        ["fit", beir_folder, "-o", tmp_path / "out", "--epochs", 1],
        ["eval", beir_folder, "--bm25"],
        ["cluster", beir_folder],
    ]
    # Not even without --offline: a local model needs no hub.
    online = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    words = json.dumps([[*map(str, words), "--model", str(tiny_encoder_folder)] for words in commands])
    done = subprocess.run([sys.executable, "-c", GUARD, words], capture_output=True, text=True, env=online)
    assert "NETWORK" not in done.stderr
    ended = [line for line in done.stderr.splitlines() if line.startswith("ENDED")]
    assert ended in (["ENDED 0"] * 3, ["ENDED 3", "ENDED 0", "ENDED 0"]), done.stderr


@pytest.mark.parametrize(("module", "barred"), [
    ("textrip", {"torch", "transformers", "sentence_transformers", "datasets", "numpy", "pyarrow", "typer"}),
    ("textrip.cli.main", {"torch", "transformers", "sentence_transformers", "datasets", "numpy", "sklearn"}),
])  # fmt: skip
def test_what_is_imported_is_light(module: str, barred: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not barred & set(loaded.stdout.split())


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from textrip.cli.main import app\n"
        "try: app(['train', '--help'])\n"
        "finally: print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "--margin" in loaded.stdout
    assert not {"torch", "transformers", "datasets"} & set(loaded.stdout.split())


def test_importing_changes_no_environment_and_sets_up_no_logging() -> None:
    code = (
        "import logging, os; before = dict(os.environ); import textrip, textrip.cli.main; "
        "assert dict(os.environ) == before; assert not logging.getLogger().handlers"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ctrl_c_while_the_program_is_imported_is_quiet() -> None:
    """The first tenths of a second, before it listens: it dies of the signal, as a shell expects."""
    program = """if True:
        import os, signal, sys, time

        class Interrupting:
            def find_spec(self, name, *_):
                if name == "textrip.cli.main":
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(1)

        sys.meta_path.insert(0, Interrupting())
        from textrip.__main__ import main
        main()
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_search_leaves_nothing_at_home_and_calls_nobody(index_folder: Path, tmp_path: Path) -> None:
    """ONNX Runtime would: it writes an identity of the device, to be sent to its maker."""
    home = tmp_path / "home"
    home.mkdir()
    env = environment(HOME=str(home))
    env.pop("XDG_CACHE_HOME", None)
    env.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [*PROGRAM, "search", str(index_folder), "rose"], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [str(path) for path in home.rglob("*") if "icrosoft" in str(path)] == []


def test_a_version_in_the_environment_asks_for_nothing(tmp_path: Path) -> None:
    """Who builds an image sets it: a check that only printed the version would pass."""
    done = subprocess.run(
        [*PROGRAM, "check", str(tmp_path / "none")], env=environment(TEXTRIP_VERSION="1"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such file or folder" in done.stderr


@pytest.mark.parametrize("error", [
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    OSError("libgomp.so.1: failed to map segment from shared object"),
    OSError(12, "Cannot allocate memory"), MemoryError(),
])  # fmt: skip
def test_too_little_memory_for_a_library_is_no_mistake_of_textrips(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _report(error) == 1
    assert capsys.readouterr().err == "Error: out of memory; give less data or smaller batches\n"
