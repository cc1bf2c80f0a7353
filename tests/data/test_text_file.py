"""A file of text or Markdown: what is its title, what its text, and what its front matter says."""

import json
from pathlib import Path

import pytest

from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.data.text_file import read_text_file
from textrip.errors import InputError


def _read(folder: Path, text: str, name: str = "some_page.md") -> dict[str, str]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_text_file(path)[0]


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Cats\n\nThey purr.\n", "Cats", "They purr."),
        ("\n\n## Cats ##\nThey purr.\n", "Cats", "They purr."),
        ("Cats\n====\n\nThey purr.\n", "Cats", "They purr."),
        ("Cats\n----\nThey purr.\n", "Cats", "They purr."),
        ("#hashtag\nThey purr.\n", "some page", "#hashtag\nThey purr."),
        ("They purr.\n# Cats\n", "some page", "They purr.\n# Cats"),
        ("---\n\nThey purr.\n\n---\n", "some page", "---\n\nThey purr.\n\n---"),
        ("", "", ""),
        ("\n \n", "", ""),
    ],
)
def test_the_title_is_a_heading_or_the_files_name(tmp_path: Path, text: str, title: str, body: str) -> None:
    assert _read(tmp_path, text) == {"title": title, "text": body, "metadata": "{}"}


@pytest.mark.parametrize(
    "front",
    [
        "---\ntitle: Of cats\nyear: 1995\ntags: [pets, fur]\ndraft: false\ndate: 2024-02-29\n---\n",
        '+++\ntitle = "Of cats"\nyear = 1995\ntags = ["pets", "fur"]\ndraft = false\n'
        "date = 2024-02-29\n+++\n",
        "---\r\ntitle: 'Of cats'\r\nyear: 1995\r\ntags:\r\n- pets\r\n- fur\r\ndraft: false\r\n"
        "date: 2024-02-29\r\n...\r\n",
    ],
)
def test_front_matter_is_title_and_metadata_and_no_text(tmp_path: Path, front: str) -> None:
    found = _read(tmp_path, f"{front}\nThey purr.\n")

    assert (found["title"], found["text"]) == ("Of cats", "They purr.")
    assert json.loads(found["metadata"]) == {
        "year": 1995,
        "tags": ["pets", "fur"],
        "draft": False,
        "date": "2024-02-29",
    }


def test_front_matter_and_a_heading(tmp_path: Path) -> None:
    same = _read(tmp_path, "---\ntitle: Cats\n---\n# Cats\nThey purr.\n")
    another = _read(tmp_path, "---\ntitle: Of pets\n---\n# Cats\nThey purr.\n")
    none = _read(tmp_path, "---\nlayout: page\ntitle:\n---\n# Cats\nThey purr.\n")
    neither = _read(tmp_path, "---\nlayout: page\n---\nThey purr.\n")
    alone = _read(tmp_path, "---\ntitle: 404\n---\n")
    nothing = _read(tmp_path, "---\nlayout: page\n---\n")

    assert (same["title"], same["text"]) == ("Cats", "They purr.")
    assert (another["title"], another["text"]) == ("Of pets", "# Cats\nThey purr.")
    assert (none["title"], none["text"]) == ("Cats", "They purr.")
    assert (neither["title"], neither["text"]) == ("some page", "They purr.")
    assert (alone["title"], alone["text"]) == ("404", "")
    assert (nothing["title"], nothing["text"]) == ("", "")


@pytest.mark.parametrize("text", [
    "---\nThey purr.\n---\nAnd sleep.\n",  # rules about a sentence
    "---\n- purr\n- sleep\n---\nThey purr.\n",
    "---\ntitle: Cats\nThey purr.\n",  # never closed
])  # fmt: skip
def test_what_is_no_front_matter_is_text(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, text) == {"title": "some page", "text": text.strip(), "metadata": "{}"}
    assert read(tmp_path).remarks == ()


@pytest.mark.parametrize("text", [
    "---\ntitle: [unclosed\n---\nThey purr.\n",
    "---\ntitle: Getting: started\n---\nThey purr.\n",
    "---\ntitle: [a, list]\n---\nThey purr.\n",
    "---\na: 1\na: 2\n---\nThey purr.\n",
    "---\n? [a, b]\n: c\n---\nThey purr.\n",
    "---\na: &x [1]\nb: *x\n---\nThey purr.\n",
    '---\ntitle: "\\ud800"\n---\nThey purr.\n',
    "---\na: b\nc:\td: [\n---\nThey purr.\n",
    "+++\ntitle = Cats\n+++\nThey purr.\n",
    "+++\ntitle = true\n+++\nThey purr.\n",
    "+++\nn = " + "9" * 5_000 + "\n+++\nThey purr.\n",
    "+++\n" + "a." * 3_000 + "a = 1\n+++\nThey purr.\n",
    "---\n" + "a: " + "[" * 5_000 + "]" * 5_000 + "\n---\nThey purr.\n",
])  # fmt: skip
def test_front_matter_that_cannot_be_read_is_text_and_told(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, text) == {"title": "some page", "text": text.strip(), "metadata": "{}"}
    (remark,) = read(tmp_path).remarks
    assert (remark.kind, remark.count, remark.examples) == ("front-matter-not-read", 1, ("some_page.md",))


@pytest.mark.parametrize(("written", "title"), [
    ("No", "No"), ("12:30", "12:30"), ("007", "007"), ("1.10", "1.10"), (".inf", ".inf"), ("404", "404"),
    ("2024-01-01", "2024-01-01"), ('"quoted: it"', "quoted: it"), ("", "some page"), ("''", "some page"),
])  # fmt: skip
def test_a_title_is_what_is_written(tmp_path: Path, written: str, title: str) -> None:
    assert _read(tmp_path, f"---\ntitle: {written}\n---\nThey purr.\n")["title"] == title


def test_a_value_is_what_a_tables_cell_would_be(tmp_path: Path) -> None:
    """YAML 1.1 makes 668 of 01234, 90 of 1:30, and of `on` a truth."""
    block = (
        "zip: 01234\nlen: 1:30\nversion: 1.10\non: no\nyear: 1995\nx: 0.5\nyes: true\nnone: ~\n"
        "quoted: '12'\nwhen: 2024-02-31\na: !!int\nb: !!python/object/apply:os.system ['touch gone']\n"
        "said: |\n  two\n  lines\n"
    )
    assert json.loads(_read(tmp_path, f"---\n{block}---\nThey purr.\n")["metadata"]) == {
        "zip": "01234", "len": "1:30", "version": "1.10", "on": "no", "year": 1995, "x": 0.5, "yes": True,
        "none": None, "quoted": "12", "when": "2024-02-31", "a": None, "b": ["touch gone"],
        "said": "two\nlines",
    }  # fmt: skip


@pytest.mark.parametrize("block", ["", " \n", "{}\n"])
def test_front_matter_that_says_nothing_is_no_text(tmp_path: Path, block: str) -> None:
    """Jekyll asks for it."""
    found = _read(tmp_path, f"---\n{block}---\n# Cats\nThey purr.\n")
    assert found == {"title": "Cats", "text": "They purr.", "metadata": "{}"}
    assert read(tmp_path).remarks == ()


@pytest.mark.parametrize("text", [
    "- an item\n---\nrest", "> quoted\n---\nrest", "    # code\nrest", "1. first\n---\nrest",
    "| a | b |\n-----\nrest",
])  # fmt: skip
def test_what_is_no_paragraph_is_no_heading_above_a_rule(tmp_path: Path, text: str) -> None:
    found = _read(tmp_path, text)
    assert (found["title"], found["text"]) == ("some page", text.strip())


def test_old_macs_lines_are_lines(tmp_path: Path) -> None:
    assert _read(tmp_path, "# Cats\rThey purr.\r") == {
        "title": "Cats",
        "text": "They purr.",
        "metadata": "{}",
    }


@pytest.mark.timeout(20)
def test_a_heading_of_many_blanks_is_read_at_once(tmp_path: Path) -> None:
    """Its end was looked for in every blank: 9 seconds for 40,000 of them."""
    assert _read(tmp_path, "# a" + " " * 400_000 + "b\nrest")["title"].endswith(" b")


def test_a_text_that_is_no_markdown_has_no_front_matter(tmp_path: Path) -> None:
    text = "---\ntitle: Cats\n---\n# Cats"

    assert _read(tmp_path, text, "a.txt") == {"title": "a", "text": text, "metadata": "{}"}


def test_a_few_lines_of_aliases_are_not_a_terabyte(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 13)]
    text = "---\n" + "\n".join(levels) + "\n---\nThey purr."

    assert _read(tmp_path, text)["text"] == text


def test_metadata_of_front_matter_is_there_for_conditions(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: Cats\nyear: 1995\n---\nThey purr.\n", encoding="utf-8")
    (tmp_path / "b.md").write_text("# Dogs\nThey bark.\n", encoding="utf-8")

    corpus = read(tmp_path).corpus

    assert [json.loads(row["metadata"]) for row in corpus] == [{"year": 1995}, {}]


def test_texts_without_front_matter_have_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Dogs\nThey bark.\n", encoding="utf-8")

    assert read(tmp_path).corpus.column_names == ["doc_id", "title", "text"]


def test_columns_of_a_folder_of_texts_are_refused(tmp_path: Path) -> None:
    """They were passed over, and an error told to name one."""
    (tmp_path / "b.md").write_text("# Dogs\nThey bark.\n", encoding="utf-8")
    with pytest.raises(InputError, match="is a folder of texts, which have no columns, and label"):
        read(tmp_path, columns=Columns(label="category"))
    with pytest.raises(InputError, match=r"stdlib has no columns, and id 'x' is named"):
        read("stdlib", columns=Columns(id="x"))


def test_a_title_of_something_else_is_no_title_of_the_file(tmp_path: Path) -> None:
    found = _read(tmp_path, "---\nauthor:\n  title: [Dr, Prof]\n---\nThey purr.\n")
    assert found["title"] == "some page"
    assert json.loads(found["metadata"]) == {"author": {"title": ["Dr", "Prof"]}}


@pytest.mark.timeout(20)
def test_a_book_between_two_rules_is_a_text(tmp_path: Path) -> None:
    text = "---\n" + "chapter: it was a dark and stormy night\n" * 50_000 + "---\nThe end."
    assert _read(tmp_path, text)["text"] == text
    assert read(tmp_path).remarks == ()


def test_headings_between_two_rules_are_no_comments_of_front_matter(tmp_path: Path) -> None:
    """They were lost: to YAML there was nothing but comments."""
    found = _read(tmp_path, "---\n# Refunding a stolen card\n\n## Soon\n---\nCall the bank.\n")
    assert found["title"] == "Refunding a stolen card"
    assert found["text"] == "## Soon\nCall the bank."


def test_an_alias_of_a_long_text_is_one(tmp_path: Path) -> None:
    """62 KB of them were 300 MB of metadata."""
    front = f"---\na: &a {'x' * 3000}\nb: [{','.join(['*a'] * 1000)}]\n---\nbody"
    document, readable = read_text_file(_written(tmp_path, front))
    assert not readable
    assert document["text"].endswith("body")
    assert "metadata" not in document or len(document["metadata"]) < 10


def _written(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path
