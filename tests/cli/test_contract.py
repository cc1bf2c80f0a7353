"""The command line's contract: exit codes, one line of error, options over environment over file."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.running import Run, tree
from textrip.cli import output
from textrip.errors import InputError
from textrip.pipeline.train import train
from textrip.retrieval.snippet import Snippet


@pytest.mark.parametrize(("arguments", "reason"), [
    (["search"], "Missing argument"),
    (["searc", "x"], "No such command 'searc'. Did you mean 'search'?"),
    (["search", "{tmp}/none", "q"], "none: no such index; build one with textrip index"),
    (["search", "{tmp}", "q"], r"is no index \(it has no index.json\); textrip index .* -o INDEX builds one where"),
    (["check", ""], "the name of the data is empty"),
    (["train", "{beir}", "-o", "{tmp}/m", "--dev-documents", "-5"], "Invalid value for '--dev-documents'"),
    (["search", "{index}", " "], "the query is blank; ask something"),
    (["search", "{index}", "-"], "<stdin>: has no question; one a line was expected"),
    (["search", "{index}", "q", "-k", "0"], "k is 0, at least 1 was expected"),
    (["search", "{index}", "q", "-k", "few"], "Invalid value for '-k' / '--k': Input should be a valid integer"),
    (["search", "{index}", "q", "--mode", "magic"], "mode is 'magic', one of dense, bm25, hybrid was expected"),
    (["search", "{index}", "q", "--mode", "bm25", "--device", "bogus"], "--mode bm25 encodes nothing and looks at no vector: --device has nothing to do, leave it out"),
    (["search", "{index}", "q", "--mode=bm25", "--exact", "--device=cpu"], "--device and --exact have nothing to do, leave them out"),
    (["search", "{index}", "q", "--rerank-depth", "9"], "without --rerank nothing is scored again: --rerank-depth has nothing to do"),
    (["search", "{index}", "q", "--rerank", "{model}", "--rerank-depth", "-5"], "greater than or equal to 1, found .-5."),
    (["search", "{index}", "q", "--rerank", "{model}", "--rerank-depth", "9"], r"rerank_depth is 9, at least k \(10\) was"),
    (["search", "{index}", "q", "--where", "title = :l", "--param", "l=en", "--param", "l=de"], "--param l is given twice"),
    (["search", "{index}", "q", "--where", "title = 'x'", "--param", "l=en"], r"does not name parameter l \(:l\)"),
    (["cluster", "{index}", "--model", "foo", "--device", "banana", "--id-column", "x"], "is an index, which has its vectors: --model, --device and --id-column have nothing to do"),
    (["eval", "{beir}", "--model", "{model}", "--stemmer", "german"], "without --bm25 and --hybrid no word is looked at: --stemmer has nothing to do"),
    (["eval", "{beir}", "--bm25", "--device", "cpu"], "without --model nothing is encoded: --device has nothing to do"),
    (["eval", "{beir}", "--index", "{index}", "--stemmer", "german"], "without --bm25 and --hybrid no word is looked at: --stemmer has nothing to do"),
    (["eval", "{beir}", "--index", "{index}", "--dimension", "8"], "without --model nothing is encoded: --dimension has nothing to do"),
    (["eval", "{beir}", "--index", "{index}", "--hybrid"], "hybrid fuses BM25 with an encoder: name one with --model"),
    (["eval", "{beir}", "--index", "{index}", "--index", "{index}"], "this index is named twice; once is enough"),
    (["eval", "{beir}", "--index", "{model}"], "is no index"),
    (["eval", "{beir}", "--rerank", "{model}"], "without --index nothing is found that could be scored again: --rerank has nothing to do"),
    (["eval", "{beir}", "--index", "{index}", "--rerank", "{tmp}/none"], "no such folder"),
    (["search", "{index}", "--like", "d01", "--device", "cpu"], "--like encodes nothing: --device has nothing to do"),
    (["index", "{index}", "--check", "-o", "{tmp}/zzz", "--recall", "--tune-hybrid"], "--check reads an index that is there: --output, --recall and --tune-hybrid have nothing to do"),
    (["index", "{index}", "--rebuild", "--nearest", "hnsw", "--text-column", "t"], "--rebuild reads an index that is there: --nearest and --text-column have nothing to do"),
    (["encode", "{lines}", "-o", "{tmp}/v.npy", "--model", "{model}", "--text-column", "t"], "a text a line has no columns: --text-column has nothing to do, leave it out"),
    (["index", "{tmp}/none", "-o", "{tmp}/out"], "none: no such file or folder"),
    (["index", "{tmp}", "-o", "{tmp}/out"], "has nothing to read; a BEIR folder"),
    (["index", "{bad}", "-o", "{tmp}/out"], "bad.jsonl:2: not JSON at column 1"),
    (["index", "{beir}", "-o", "{bad}/out"], "bad.jsonl is not a folder"),
    (["index", "{beir}", "-o", "{beir}"], "exists and has no [a-z]+\\.json of textrip; --force replaces nothing else: name another place"),
    (["index", "{beir}", "-o", "{tmp}/out", "--model", "no/such/model/here"], "no such folder"),
    (["index", "{beir}", "-o", "{tmp}/out", "--model", "owner/model"], "the network is switched off"),
    (["index", "{beir}", "-o", "{tmp}/out", "--model", "{beir}"], "holds no encoder"),
    (["index", "{beir}", "-o", "{tmp}/out", "--model", "{model}", "--device", "tpu"], "device 'tpu' is not known"),
    (["index", "{beir}", "-o", "{tmp}/out", "--model", "{model}", "--max-length-tokens", "65"], "has positions for 64 tokens"),
    (["index", "{beir}", "-o", "{tmp}/out", "--stemmer", "klingon"], "stemmer 'klingon' is no language of Snowball"),
    (["index", "{pairs}", "-o", "{tmp}/out", "--text-column", "body"], "has no column 'body'"),
    (["index", "hub:owner/name", "-o", "{tmp}/out"], "hub:owner/name is on the hub and the network is switched off"),
    (["mine", "{beir}", "-o", "{tmp}/t.parquet", "--negatives", "0"], "negatives is 0, at least 1 was expected"),
    (["mine", "{beir}", "-o", "{tmp}/t.parquet", "--split", "held-out"], "has no judgments for split 'held-out'"),
    (["train", "{beir}", "-o", "{tmp}/m", "--epochs", "many"], "epochs is 'many', a number or auto was expected"),
    (["train", "{beir}", "-o", "{tmp}/m", "--learning-rate=fast"], "learning_rate is 'fast', a number or auto was"),
    (["train", "{beir}", "-o", "{tmp}/m", "--seed", "-1"], "greater than or equal to 0, found .-1."),
    (["train", "{beir}", "-o", "{tmp}/m", "--margin", "inf"], "margin is inf, a number above 0"),
    (["train", "{beir}", "-o", "{tmp}/m", "--margin", "5"], "margin is 5; for cosine distance"),
    (["train", "{beir}", "-o", "{tmp}/m", "--strategy", "easy"], "strategy is 'easy', one of auto, mined"),
    (["train", "{beir}", "-o", "{tmp}/m", "--distance", "far"], "distance is 'far', one of cosine"),
    (["train", "{beir}", "-o", "{tmp}/m", "--epochs", "0", "--learning-rate", "2"], "epochs is 0.*learning_rate is 2"),
    (["train", "{beir}", "-o", "{tmp}/m", "--data", "{beir}"], "holds no triples, so --data has nothing to add"),
    (["train", "{tmp}/nope.parquet", "-o", "{tmp}/m", "--data", "{beir}"], "nope.parquet: no such file"),
    (["train", "{pairs}", "-o", "{tmp}/m", "--data", "{beir}"], "is not a Parquet file that can be read"),
    (["train", "{beir}", "-o", "{tmp}/m", "--by-label"], "have no labels .columns: doc_id, title, text.; name"),
    (["train", "{beir}", "-o", "{tmp}/m", "--by-label", "--negatives", "2"], "--by-label mines nothing"),
    (["train", "{beir}", "-o", "{tmp}/m", "--loss", "proxy-nca"], "proxy-nca, which compares labels"),
    (["eval", "{beir}", "--by-label"], "have no labels"),
    (["index", "{beir}", "-o", "{tmp}/i", "--overlap", "7"], "without --passages nothing is cut: --overlap has nothing to do"),
    (["train", "--resume", "{model}"], "run.json: no such file or directory"),
    (["train", "{pairs}", "-o", "{tmp}/m"], "cannot be cut into train and test and dev; more queries are needed"),
    (["eval", "{beir}", "--hybrid"], "hybrid fuses BM25 with an encoder: name one with --model"),
    (["eval", "{beir}", "--split", "held-out"], "has no judgments for split 'held-out'"),
    (["encode", "{empty}", "-o", "{tmp}/v.npy", "--model", "{model}"], "empty.txt: is empty, at least one text"),
    (["encode", "-", "-o", "{tmp}/v.npy", "--model", "{model}"], "<stdin>: is empty, at least one text"),
    (["encode", "{empty}", "-o", "{tmp}/v.txt"], "has suffix '.txt', .npy or .parquet was expected"),
    (["cluster", "{index}", "--k", "61"], r"k is 61, a number from 1 to 60 \(the documents\) was expected"),
    (["cluster", "{index}", "--k", "0"], "k is 0, a number from 1 to 60"),
    (["demo", "--out", "{beir}"], "exists and has no [a-z]+\\.json of textrip; --force replaces nothing else: name another place"),
    (["search", "{index}", "q", "--config", "{tmp}/none.toml"], "none.toml: no such file or directory"),
    (["search", "{index}", "q", "--config", "{bad}"], "bad.jsonl: is not TOML"),
])  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(
    arguments: list[str], reason: str, textrip: Run, beir_folder: Path, index_folder: Path,
    tiny_encoder_folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    files = tmp_path_factory.mktemp("files")
    (files / "bad.jsonl").write_text('{"_id": "1", "text": "one"}\noops\n')
    (files / "empty.txt").write_text("")
    (files / "lines.txt").write_text("rose\n")
    (files / "pairs.jsonl").write_text('{"query": "rose", "positive": "rose soil"}\n')
    places = {
        "tmp": tmp_path, "beir": beir_folder, "index": index_folder, "model": tiny_encoder_folder,
        "bad": files / "bad.jsonl", "empty": files / "empty.txt", "lines": files / "lines.txt", "pairs": files / "pairs.jsonl",
    }  # fmt: skip
    before = [tree(folder) for folder in (beir_folder, index_folder, files)]
    result = textrip(*(argument.format(**places) for argument in arguments))
    assert result.code == 2, result.err
    assert result.out == ""
    lines = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.err
    assert result.err.splitlines()[-1] == lines[0]
    assert "Traceback" not in result.err
    assert re.search(reason, lines[0]), lines[0]
    assert list(tmp_path.iterdir()) == []
    assert [tree(folder) for folder in (beir_folder, index_folder, files)] == before


@pytest.mark.parametrize("value", ["two", "-1"])
def test_a_launcher_that_says_no_number_is_told(
    value: str, textrip: Run, index_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "")
    assert textrip("search", index_folder, "rose").code == 0
    monkeypatch.setenv("WORLD_SIZE", value)
    monkeypatch.setenv("RANK", value)
    done = textrip("search", index_folder, "rose")
    assert done.code == 2
    assert f"is {value!r} in the environment; a launcher's number was expected" in done.err


@pytest.mark.parametrize(("given", "told"), [
    ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2 in the environment and RANK, MASTER_ADDR, MASTER_PORT not there"),
    ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "x"}, "WORLD_SIZE is 2 in the environment and MASTER_PORT not"),
    ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}, "RANK is 2 and WORLD_SIZE 2 in the"),
])  # fmt: skip
def test_what_is_left_of_a_launcher_is_told_before_anything_is_read(
    given: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for processes that never came, after the mining."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=told):
        train("no-such-folder", tmp_path / "m")


@pytest.mark.parametrize(("rank", "told"), [("0", 1), ("1", 0)])
def test_of_several_processes_that_are_interrupted_the_first_says_so(
    rank: str, told: int, textrip: Run, beir_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_given: Any, **_how: Any) -> None:
        raise KeyboardInterrupt

    launched = {"WORLD_SIZE": "2", "RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("textrip.encoding.load.require_models", interrupted)
    done = textrip("train", beir_folder, "-o", tmp_path / "model")
    assert (done.code, done.err.count("Interrupted")) == (130, told), done.err


def test_a_number_of_a_job_is_none_of_a_process(
    textrip: Run,
    beir_folder: Path,
    tiny_encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With RANK=1 alone the training ended well, without a word and without a model."""
    monkeypatch.setenv("RANK", "1")
    more = ["--model", tiny_encoder_folder, "--epochs", "1", "--device", "cpu"]
    done = textrip("train", beir_folder, "-o", tmp_path / "m", *more)
    assert done.code == 0, done.err
    assert "mined" in done.err
    assert (tmp_path / "m" / "manifest.json").is_file()


def test_no_arguments_show_the_help_and_no_error(textrip: Run) -> None:
    result = textrip()
    assert result.code == 2
    assert "Commands" in result.out + result.err
    assert "Error" not in result.err


def test_the_version(textrip: Run) -> None:
    from textrip import __version__

    assert textrip("--version").out == f"textrip {__version__}\n"


def test_force_overwrites(textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "old").write_text("old")
    (tmp_path / "index" / "index.json").write_text("of an index, once")
    build = ["index", beir_folder, "-o", tmp_path / "index", "--model", tiny_encoder_folder]
    assert textrip(*build).code == 2
    assert (tmp_path / "index" / "old").exists()
    assert textrip(*build, "--force").code == 0
    assert not (tmp_path / "index" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_talk_is_on_stderr_and_quiet_is_quiet(
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    train = ["train", beir_folder, "--model", tiny_encoder_folder, "--json"]
    loud = textrip(*train, "-o", tmp_path / "a")
    assert "epoch 1: dev nDCG@10" in loud.err
    assert len(loud.json_lines()) == 1
    assert textrip(*train, "-o", tmp_path / "b", "--quiet").err == ""


def test_a_value_that_is_none_is_told_with_its_place(
    textrip: Run, index_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody typed it: in a shell's profile or a file it is looked for, and not in what was typed."""
    config = tmp_path / "c.toml"
    config.write_text('[search]\nk = "many"\n')
    refused = textrip("search", index_folder, "rose", "--config", config)
    assert (refused.code, refused.out) == (2, "")
    assert f"found 'many' in {config}" in refused.err
    monkeypatch.setenv("TEXTRIP_SEARCH_K", "several")
    refused = textrip("search", index_folder, "rose", "--config", config)
    assert (refused.code, refused.out) == (2, "")
    assert "found 'several' in the environment as TEXTRIP_SEARCH_K" in refused.err


def test_a_value_that_a_command_itself_refuses_is_told_with_its_place(
    textrip: Run, beir_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[train]\nepochs = "abc"\n')
    asked = ("train", beir_folder, "-o", tmp_path / "m")
    refused = textrip(*asked, "--config", config)
    assert refused.code == 2
    assert refused.err == (
        f"Error: epochs is 'abc', a number or auto was expected, epochs found in {config}\n"
    )
    monkeypatch.setenv("TEXTRIP_TRAIN_EPOCHS", "-1")
    assert "expected, epochs found in the environment as TEXTRIP_TRAIN_EPOCHS" in textrip(*asked).err
    typed = textrip(*asked, "--epochs", "-2")
    assert (typed.code, "found" in typed.err) == (2, False)
    other = textrip(*asked, "--margin", "wide")  # it speaks of what was typed
    assert (other.code, "TEXTRIP_TRAIN_EPOCHS" in other.err) == (2, False)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('[search]\nmode = ["bm25"]', "mode is a list, one value was expected"),
        ("[search]\nmode = {a = 1}", "mode is a table, one value was expected"),
        ("[search]\nparam = [{a = 1}]", "param is a table, one value was expected"),
        ('quiet = "true"', "quiet is 'true', true or false was expected"),
        ('[search]\nconfig = "other.toml"', r"[search] has config, which textrip search does not know"),
    ],
)
def test_what_a_file_cannot_say_is_told(lines: str, told: str, textrip: Run, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(lines)
    refused = textrip("search", tmp_path, "rose", "--config", tmp_path / "c.toml")
    assert (refused.code, told in refused.err) == (2, True)


def test_option_over_environment_over_file_over_default(
    textrip: Run, index_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hits(*arguments: object) -> int:
        return len(textrip("search", index_folder, "rose soil", "--json", *arguments).json_lines())

    config = tmp_path / "textrip.toml"
    config.write_text("[search]\nk = 3\n[train]\nepochs = 2\n")
    assert hits() == 10
    assert hits("--config", config) == 3
    monkeypatch.setenv("TEXTRIP_SEARCH_K", "4")
    assert hits("--config", config) == 4
    assert hits("--config", config, "-k", 5) == 5
    monkeypatch.delenv("TEXTRIP_SEARCH_K")
    config.write_text("[search]\nk = 3\n", encoding="utf-8-sig")  # as Windows' editors write it
    assert hits("--config", config) == 3


def test_a_default_for_every_command_may_have_nothing_to_do_in_one(
    textrip: Run, index_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "textrip.toml"
    config.write_text('device = "cuda"\noutput = "out"\n')
    assert textrip("search", index_folder, "rose", "--mode", "bm25", "--config", config).code == 0
    assert textrip("index", index_folder, "--check", "--config", config).code == 0
    monkeypatch.setenv("TEXTRIP_SEARCH_RERANK_DEPTH", "7")
    assert textrip("search", index_folder, "rose").code == 0


@pytest.mark.parametrize(("text", "reason"), [
    ("[search]\nkk = 3\n", r"\[search\] has kk, which textrip search does not know"),
    ("search = 3\n", r"'search' is a value, a table \[search\] was expected"),
    ("kk = 3\n", r"textrip\.toml: has kk, which is an option of no command"),
    ("[serch]\nk = 3\n", r"there is no command 'serch' for its table \[serch\]"),
    ("[search]\nk = true\n", "k is true, a value was expected"),
    ("quiet = 1\n", "quiet is 1, true or false was expected"),
])  # fmt: skip
def test_a_config_file_with_a_slip_is_refused(
    text: str, reason: str, textrip: Run, index_folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "textrip.toml"
    config.write_text(text)
    result = textrip("search", index_folder, "rose", "--config", config)
    assert result.code == 2
    assert re.search(reason, result.err), result.err


def test_nothing_in_a_document_can_drive_the_terminal() -> None:
    text = "a\x1b[31mred\x07 \u061c\u202eright\u2066 b\x9b2J\tc\nd"
    assert output.printable(text) == "a[31mred right b2J c d"


def test_no_command_lets_a_document_drive_the_terminal(
    textrip: Run, tmp_path: Path, tiny_encoder_folder: Path
) -> None:
    attack = "rose \x1b[31mred\x1b]0;pwned\x07 \x9b2J"
    data = tmp_path / "a\x1b[31mb"
    (data / "qrels").mkdir(parents=True)
    queries = [{"_id": f"q{number}\x1b[32m", "text": attack} for number in range(2)]
    for name, rows in (("corpus", [{"_id": "d\x1b[33m", "text": attack}]), ("queries", queries)):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = [("train", "q0"), ("test", "q1")]
    for split, query in judged:
        (data / "qrels" / f"{split}.tsv").write_text(
            f"query-id\tcorpus-id\tscore\n{query}\x1b[32m\td\x1b[33m\t1\n"
        )
    encoder = ["--model", tiny_encoder_folder]
    for command in (
        ["check", data], ["eval", data, "--bm25"], ["eval", data, "--bm25", "--json"],
        ["index", data, "-o", tmp_path / "index", *encoder], ["search", tmp_path / "index", attack],
        ["search", tmp_path / "index", attack, "--json"], ["cluster", tmp_path / "index"],
    ):  # fmt: skip
        done = textrip(*command)
        assert done.code in {0, 2}, done.err
        assert "red" in done.out + done.err or command[0] not in {"check", "search"}
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.out + done.err), command


def test_no_line_of_a_document_passes_for_one_of_ours(
    textrip: Run, tmp_path: Path, tiny_encoder_folder: Path
) -> None:
    attack = "rose\nerror: forged\n  1  0.999  forged"
    rows = [{"id": f"d{number}", "title": attack, "text": attack} for number in range(2)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    checked = textrip("check", tmp_path / "d.jsonl")
    built = textrip("index", tmp_path / "d.jsonl", "-o", tmp_path / "i", "--model", tiny_encoder_folder)
    found = textrip("search", tmp_path / "i", "-", stdin="rose\nrose\n")
    for done in (checked, built, found):
        assert done.code == 0, done.err
        lines = (done.out + done.err).splitlines()
        assert not any(line.strip().startswith(("error: forged", "1  0.999")) for line in lines), lines


def test_json_escapes_what_a_terminal_obeys_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[31m \x9b2J \u202e \x7f é"
    output.emit_json({"text": text})
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"text": text}
    assert not re.search(r"[\x7f-\x9f\u202e]", line)


def test_matches_are_bold_on_a_terminal_and_not_under_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Snippet("a rose\x1b here", ((2, 6),))
    assert output.marked(found) == "a rose here"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.marked(found) == "a \x1b[1mrose\x1b[0m here"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.marked(found) == "a rose here"


def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    textrip: Run,
    beir_folder: Path,
    tiny_encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "triples.parquet"
    target.write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = textrip("mine", beir_folder, "-o", target, "--force")
    assert result.code == 2
    assert result.err.splitlines()[-1].endswith("triples.parquet: no space left on device")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["triples.parquet"]


def test_a_mistake_of_ours_is_one_line_and_exit_code_1(
    textrip: Run, index_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textrip.retrieval.index.Index.search_many", lambda *_a, **_k: 1 / 0)
    result = textrip("search", index_folder, "rose")
    assert result.code == 1
    assert result.err == "Error: ZeroDivisionError: division by zero (a mistake in textrip; -v shows where)\n"
    assert "Traceback" in textrip("search", index_folder, "rose", "-v").err
    assert "Traceback" in textrip("search", index_folder, "rose", "-qv").err
    assert "Traceback" not in textrip("search", index_folder, "rose", "-q").err
    monkeypatch.setenv("TEXTRIP_SEARCH_VERBOSE", "1")
    assert "Traceback" in textrip("search", index_folder, "rose").err


def test_json_carries_any_character(textrip: Run, index_folder: Path) -> None:
    (first, *_) = textrip("search", index_folder, "rose 🌹 é", "-k", 1, "--json").json_lines()
    assert json.loads(json.dumps(first))["query"] == "rose 🌹 é"


def test_a_slip_in_the_environment_is_said(
    textrip: Run, beir_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a file it is refused; in an environment, which others read, too, it did nothing without a word."""
    for name in ("TEXTRIP_CHECK_LABLE_COLUMN", "TEXTRIP_TRAIN_EPOCH", "TEXTRIP_CHECK_JSON"):
        monkeypatch.setenv(name, "0")
    said = textrip("check", beir_folder)
    told = "TEXTRIP_CHECK_LABLE_COLUMN is set, and is no option of textrip check"
    assert (said.code, said.err) == (0, f"{told}; TEXTRIP_CHECK_LABEL_COLUMN is one\n")
    assert not textrip("check", beir_folder, "--quiet").err
