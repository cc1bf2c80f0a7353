"""A file of text or Markdown: what is its title, what its text, and what its front matter says."""

import json
from pathlib import Path

import pytest

from textrip.data.formats import read
from textrip.data.text_file import read_text_file


def _read(folder: Path, text: str, name: str = "some_page.md") -> dict[str, str]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_text_file(path)


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


@pytest.mark.parametrize(
    "text",
    [
        "---\nThey purr.\n---\nAnd sleep.\n",  # rules about a sentence
        "---\ntitle: [unclosed\n---\nThey purr.\n",
        "---\ntitle: Cats\nThey purr.\n",  # never closed
        "---\ndate: 2024-02-31\n---\nThey purr.\n",
        "---\n? [a, b]\n: c\n---\nThey purr.\n",
        "---\na: !!python/object/apply:os.system ['touch gone']\n---\nThey purr.\n",
        "---\na: !!set {x, y}\n---\nThey purr.\n",
        "+++\ntitle = Cats\n+++\nThey purr.\n",
        "---\n" + "a: " + "[" * 5_000 + "]" * 5_000 + "\n---\nThey purr.\n",
    ],
)
def test_what_is_no_front_matter_stays_text(tmp_path: Path, text: str) -> None:
    found = _read(tmp_path, text)

    assert found == {"title": "some page", "text": text.strip(), "metadata": "{}"}


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
