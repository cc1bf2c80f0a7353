"""The audit: each flag is provoked, the suspects come first, the page is safe, and verdicts are honoured."""

import html
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mining.test_filters import Given
from tests.mining.test_mine import FILLER, collection_of
from textrip.data.collection import Collection
from textrip.errors import InputError, MismatchError
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.audit import audit
from textrip.mining.audit_page import write_page
from textrip.mining.audited import FLAGS, histogram, write_jsonl
from textrip.mining.filters import REJECTED
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Group, Negative, Source, Triples
from textrip.mining.verdicts import Verdicts, texts_mark

LONG = " ".join(f"word{number}" for number in range(40))
DOCUMENTS = {
    "p": "rose one", "p2": LONG, "copy": "Rose ONE", "near": LONG.replace("word0 ", "other "),
    "n": "rose two",
    "evil": "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
} | FILLER  # fmt: skip


@pytest.fixture
def collection() -> Collection:
    return collection_of(DOCUMENTS, {"q": "rose & <b>more</b>", "r": "tulip"}, train={
        "q": {"p": 1, "p2": 1}, "r": {"f3": 1},
    })  # fmt: skip


def triples_of(*negatives: str, source: Source = "bm25", score: float = 1.5) -> Triples:
    return Triples(
        [
            Group("r", "f3", (Negative("f4", 1, 2.0, "bm25"),)),
            Group("q", "p", tuple(Negative(doc_id, 1, score, source) for doc_id in negatives)),
        ]
    )


@pytest.mark.parametrize(("negative", "score", "source", "flags"), [
    ("p2", 1.5, "bm25", ("judged", "same", "near")),
    ("copy", 1.5, "bm25", ("same", "near")),
    ("near", 1.5, "bm25", ("near",)),
    ("n", 1.5, "bm25", ()),
    ("n", 0.0, "bm25", ("zero",)),
    ("n", 0.0, "random", ()),
])  # fmt: skip
def test_each_flag(
    collection: Collection, negative: str, score: float, source: Source, flags: tuple[str, ...]
) -> None:
    audited = audit(triples_of(negative, source=source, score=score), collection)
    found = {one.query_id: one for one in audited.queries}
    assert found["q"].negatives[0].flags == flags
    assert found["r"].negatives[0].flags == ()
    assert [one.query_id for one in audited.queries] == ["q", "r"]
    assert set(audited.shares) == set(FLAGS)
    assert audited.shares["near"] == (0.5 if "near" in flags else 0.0)


def test_what_another_query_of_the_same_text_judges_relevant_is_flagged() -> None:
    collection = collection_of(
        DOCUMENTS, {"q": "rose", "again": " Rose"}, train={"q": {"p": 1}}, dev={"again": {"n": 2}}
    )
    (one,) = audit(Triples([Group("q", "p", (Negative("n", 1, 1.0, "bm25"),))]), collection).queries
    assert one.negatives[0].flags == ("judged", "same", "near")


def test_the_models_score_is_relative_to_the_lowest_positive(collection: Collection) -> None:
    query = collection.query_texts["q"]
    scorer = Given({(query, "rose one"): 0.8, (query, LONG): 0.4, (query, "rose two"): 0.5})
    audited = audit(triples_of("n", "f7"), collection, scorer=scorer)
    (one,) = [one for one in audited.queries if one.query_id == "q"]
    assert audited.queries[0] is one
    above, far = one.negatives
    assert above.relative == pytest.approx(0.1)
    assert above.flags == ("above",)
    assert far.flags == ()
    assert [positive.model for positive in one.positives] == [pytest.approx(0.8), pytest.approx(0.4)]
    assert [positive.relative for positive in one.positives] == [pytest.approx(0.4), 0.0]
    assert audited.model == "given"
    assert audited.shares["above"] == pytest.approx(2 / 3)


def test_the_page_shows_the_lowest_positive_though_no_triple_has_it(
    collection: Collection, tmp_path: Path
) -> None:
    query = collection.query_texts["q"]
    scorer = Given({(query, "rose one"): 0.8, (query, LONG): 0.4, (query, "rose two"): 0.5})
    write_page(audit(triples_of("n"), collection, scorer=scorer), tmp_path / "a.html", name="c")
    positives = facts_of(tmp_path / "a.html", "positive")
    assert positives["p"] == "positive · p · BM25 not asked · model 0.800"
    assert positives["p2"] == "positive · p2 · BM25 not asked · model 0.400 · the lowest positive"


def test_what_was_not_measured_is_no_zero(collection: Collection, tmp_path: Path) -> None:
    drawn = Triples([Group("q", "p", (Negative("n", 0, 0.0, "random"),))])
    audited = audit(drawn, collection)
    assert audited.shares == {"judged": 0, "same": 0, "near": 0, "above": None, "zero": 0}
    write_page(audited, tmp_path / "a.html", name="c")
    page = (tmp_path / "a.html").read_text()
    (row,) = [row for row in page.split("<tr>") if row.startswith("<td>above a positive")]
    assert "not asked (--report-model)" in row
    assert "0.0%" not in row
    assert "checkbox" not in row
    assert facts_of(tmp_path / "a.html", "negative")["n"] == "random · n · BM25 not asked"


def test_every_negative_has_its_place_in_bm25s_ranking(collection: Collection, tmp_path: Path) -> None:
    searcher = LexicalSearcher.build(collection.texts, order=collection.doc_order)
    ((places, scores),) = searcher.search([collection.query_texts["q"]], len(DOCUMENTS))
    ranked = [collection.doc_ids[place] for place in places]
    negatives = (
        Negative("n", 0, 0.0, "judged"), Negative("copy", 7, 0.4, "dense"), Negative("f9", 0, 0.0, "random"),
        Negative("near", 2, 1.25, "bm25"),
    )  # fmt: skip
    audited = audit(Triples([Group("q", "p", negatives)]), collection, searcher=searcher)
    found = {one.doc_id: (one.bm25_rank, one.bm25_score) for one in audited.queries[0].negatives}
    for doc_id in ("n", "copy"):
        rank = ranked.index(doc_id) + 1
        assert found[doc_id] == (rank, scores[rank - 1])
    assert found["f9"] == (0, 0.0)
    assert found["near"] == (2, 1.25)  # as it was mined
    write_page(audited, tmp_path / "a.html", name="c")
    facts = facts_of(tmp_path / "a.html", "negative")
    rank = ranked.index("copy")
    assert facts["copy"] == (
        f"dense · copy · rank 7 · score 0.40 · BM25 rank {rank + 1} · BM25 score {scores[rank]:.2f}"
    )
    assert facts["f9"] == "random · f9 · not ranked by BM25: no common word that tells documents apart"
    assert facts["near"] == "bm25 · near · BM25 rank 2 · BM25 score 1.25"


def facts_of(page: Path, kind: str) -> dict[str, str]:
    """By document of query q the page's line of facts, without flags and buttons."""
    documents = re.findall(
        rf'"document {kind}[^"]*" data-pair="\[&quot;q&quot;, &quot;(.*?)&quot;\]"[^>]*>'
        r'<div class="facts">([^<]*)',
        page.read_text(),
    )
    return {doc_id: facts.strip() for doc_id, facts in documents}


def test_an_id_is_on_the_page_as_no_browser_changes_it(tmp_path: Path) -> None:
    """A carriage return became a line's end and NUL another sign: the verdict named what was not there."""
    ids = ["a\rb", "n\0l", 'q"<']
    documents = {"p": "rose bloom", **{doc_id: f"rose w{doc_id!r}" for doc_id in ids}}
    collection = collection_of(documents, {"q\r1": "rose"}, train={"q\r1": {"p": 1}})
    negatives = tuple(Negative(doc_id, rank, 1.0, "bm25") for rank, doc_id in enumerate(ids, start=1))
    triples = Triples([Group("q\r1", "p", negatives)], {"collection_sha256": collection.fingerprint})
    write_page(audit(triples, collection), tmp_path / "a.html", name="c")
    pairs = re.findall('data-pair="([^"]*)"', (tmp_path / "a.html").read_bytes().decode())
    assert not {"\r", "\0"} & set("".join(pairs))
    found = [tuple(json.loads(html.unescape(pair))) for pair in pairs]
    assert found == [("q\r1", doc_id) for doc_id in ["p", *ids]]


def test_queries_are_taken_evenly_and_foreign_triples_refused(collection: Collection) -> None:
    several = collection_of(
        DOCUMENTS, {f"q{n}": f"rose {n}" for n in range(6)}, train={f"q{n}": {"p": 1} for n in range(6)}
    )
    groups = [Group(f"q{n}", "p", (Negative("n", 1, 1.0, "bm25"),)) for n in range(6)]
    found = audit(Triples(groups), several, queries=3)
    assert [one.query_id for one in found.queries] == ["q0", "q2", "q4"]
    assert found.of == 6
    with pytest.raises(MismatchError):
        audit(triples_of("nothing"), collection)


def test_outer_bars_hold_what_lies_beyond() -> None:
    bins = list(histogram([-5, -0.5, 0.0, 0.4, 9], [-1, 0, 1]))
    assert bins == [(-1, 0, 2), (0, 1, 3)]


def test_the_page_holds_no_text_as_markup(collection: Collection, tmp_path: Path) -> None:
    audited = audit(triples_of("evil", "n"), collection)
    write_page(audited, tmp_path / "a.html", name="<i>c</i>")
    page = (tmp_path / "a.html").read_text()
    assert page.count("<script>") == 1
    assert "<img" not in page
    assert "&lt;script&gt;document.title" in page
    assert "rose &amp; &lt;b&gt;more&lt;/b&gt;" in page
    assert "&lt;i&gt;c&lt;/i&gt;" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched
    write_jsonl(audited, tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["query_id"] for line in lines] == [one.query_id for one in audited.queries]
    with pytest.raises(InputError, match="exists"):
        write_page(audited, tmp_path / "a.html", name="c")


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    return found


def dom(chromium: str, arguments: Sequence[str], page: Path) -> str:
    """The page as a browser holds it once its scripts ran."""
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
         *arguments, "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_in_a_browser_a_script_in_a_document_is_text(
    collection: Collection, tmp_path: Path, chromium: str
) -> None:
    write_page(audit(triples_of("evil", "n"), collection), tmp_path / "a.html", name="c")
    shown = dom(chromium, [], tmp_path / "a.html")
    assert "<title>Mined negatives of c</title>" in shown
    assert "0 verdicts" in shown  # the page's own script ran
    assert "<script>document" not in shown
    # Were a text to come through as markup, the page's policy would still not run it.
    page = (tmp_path / "a.html").read_text()
    broken = page.replace("<h1>", "<script>document.title = 'owned'</script><h1>")
    (tmp_path / "broken.html").write_text(broken)
    assert "<title>Mined negatives of c</title>" in dom(chromium, [], tmp_path / "broken.html")


def test_in_a_browser_a_verdict_is_counted_and_saved(
    collection: Collection, tmp_path: Path, chromium: str
) -> None:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    driver_path = shutil.which("chromedriver")
    if driver_path is None:
        pytest.skip("no ChromeDriver: install Debian's package chromium-driver")
    before = Verdicts(rejected=frozenset({("q", "gone"), ("q", "evil")}), accepted=frozenset({("r", "f4")}))
    page = audit(triples_of("n", "near"), collection, verdicts=before)
    write_page(page, tmp_path / "a.html", name="c" * 3000)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "saved")})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.get((tmp_path / "a.html").as_uri())
        find = driver.find_element

        def press(document: str, verdict: str) -> None:
            button = find("css selector", f"[data-pair$='\"{document}\"]'] [data-verdict='{verdict}']")
            driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
            button.click()

        def pressed(document: str) -> list[str]:
            row = f"[data-pair$='\"{document}\"]'] [aria-pressed='true']"
            return [one.text for one in driver.find_elements("css selector", row)]

        def unsaved() -> bool:
            return "unsaved" in (find("id", "bar").get_attribute("class") or "")

        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert driver.execute_script(wide) == 0
        assert find("id", "count").text == "2 verdicts"  # of before; one names what is not there
        assert pressed("f4") == ["accept"]
        assert not unsaved()
        press("f4", "reject")
        assert pressed("f4") == ["reject"]
        assert unsaved()  # as many as before, and not the same
        press("near", "reject")
        press("n", "reject")
        press("n", "accept")
        press("f4", "reject")  # taken back
        assert pressed("f4") == []
        assert find("id", "count").text == "3 verdicts"
        box = find("css selector", 'input[data-flag="near"]')
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
        box.click()
        assert [one.is_displayed() for one in driver.find_elements("css selector", "section.query")] == [
            True, False,
        ]  # fmt: skip
        find("id", "save").click()
        for _ in range(200):
            if (tmp_path / "saved" / "verdicts.jsonl").is_file():
                break
            time.sleep(0.1)
    finally:
        driver.quit()
    verdicts = Verdicts.read(tmp_path / "saved" / "verdicts.jsonl")
    assert verdicts.rejected == {("q", "near"), ("q", "evil")}
    assert verdicts.accepted == {("q", "n")}
    assert {("q", "near"), ("q", "n")} <= set(verdicts.marks)
    assert verdicts.of(collection) == verdicts


def test_verdicts_are_honoured() -> None:
    documents = {
        "p": LONG,
        "near": LONG.replace("word0 ", "other "),
        "n1": "word1 rose",
        "n2": "word1 tulip two",
    }
    collection = collection_of(documents | FILLER, {"q": "word1"}, train={"q": {"p": 1}})
    settings = MineSettings(negatives=5)
    (group,) = mine(collection, settings=settings).groups
    assert {negative.doc_id for negative in group.negatives} == {"n1", "n2"}
    verdicts = Verdicts(frozenset({("q", "n1")}), frozenset({("q", "near"), ("q", "p")}))
    triples = mine(collection, settings=settings, verdicts=verdicts)
    assert {negative.doc_id for negative in triples.groups[0].negatives} == {"near", "n2"}  # judgments count
    assert triples.provenance["left out"][REJECTED] == 1
    scorer = Given({("word1", LONG): 0.1, ("word1", "word1 tulip two"): 0.9, ("word1", "word1 rose"): 0.9})
    verdicts = Verdicts(accepted=frozenset({("q", "n2")}))
    triples = mine(collection, settings=settings, verdicts=verdicts, scorer=scorer)
    assert {negative.doc_id for negative in triples.groups[0].negatives} == {"n2"}


@pytest.mark.parametrize("line", [
    "no json", '{"query_id": "q", "doc_id": "d"}', '{"query_id": "q", "doc_id": "d", "verdict": "maybe"}',
    '{"query_id": 1, "doc_id": "d", "verdict": "reject"}', "[]", "1", "[" * 100_000,
    '{"query_id": "q", "doc_id": "d", "verdict": "accept", "verdict": "reject"}',
])  # fmt: skip
def test_a_line_that_is_no_verdict_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text('{"query_id": "q", "doc_id": "d", "verdict": "accept"}\n\n' + line + "\n")
    with pytest.raises(InputError, match=r"v.jsonl:3: found .* was expected"):
        Verdicts.read(path)
    with pytest.raises(InputError, match="no such file"):
        Verdicts.read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="is a folder, a file of verdicts was expected"):
        Verdicts.read(tmp_path)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_what_only_python_takes_for_a_line_end_stands_in_an_id(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    line = json.dumps({"query_id": "q", "doc_id": f"a{mark}b", "verdict": "reject"}, ensure_ascii=False)
    path.write_text(f"{line}\r\n\n{line}\n", encoding="utf-8-sig", newline="")
    assert Verdicts.read(path).rejected == {("q", f"a{mark}b")}
    path.write_bytes(line.encode() + b"\n\xff\n")
    with pytest.raises(InputError, match=r"v\.jsonl:2: byte 0xff .* is not UTF-8"):
        Verdicts.read(path)


def test_the_last_verdict_counts(tmp_path: Path, remarks: list[str]) -> None:
    path = tmp_path / "v.jsonl"
    rows = [
        {"query_id": "q", "doc_id": "d", "verdict": verdict} for verdict in ("accept", "reject", "reject")
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert Verdicts.read(path) == Verdicts(frozenset({("q", "d")}), frozenset())
    assert remarks == ["1 verdict is overruled by a later line on the same pair"]


def test_a_verdict_on_what_is_judged_relevant_changes_nothing_and_is_said(remarks: list[str]) -> None:
    collection = collection_of(DOCUMENTS, {"q": "rose", "r": "tulip"}, train={"q": {"p": 1, "n": 0}})
    given = Verdicts(frozenset({("q", "p"), ("q", "n"), ("r", "p")}), frozenset())
    assert given.of(collection).rejected == given.rejected
    assert remarks == [
        "1 of 3 verdicts are on documents that are judged relevant, and change nothing: no such document is "
        "mined; change the judgment"
    ]


def test_verdicts_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As a shell's <(...) is one."""
    line = '{"query_id": "q", "doc_id": "d", "verdict": "reject"}\n'
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(line))
    writer.start()
    assert Verdicts.read(tmp_path / "pipe").rejected == {("q", "d")}
    writer.join()
    assert Verdicts.read("/dev/null").rejected == frozenset()


def test_verdicts_of_several_files_count_together(tmp_path: Path) -> None:
    paths = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path, rows in zip(paths, ({"d": "reject", "e": "reject"}, {"e": "accept"}), strict=True):
        lines = [{"query_id": "q", "doc_id": doc_id, "verdict": verdict} for doc_id, verdict in rows.items()]
        path.write_text("\n".join(map(json.dumps, lines)))
    found = Verdicts.read(*paths)
    assert found.rejected == {("q", "d")}
    assert found.accepted == {("q", "e")}


def test_of_equal_flags_the_one_further_above_comes_first() -> None:
    queries = {"a": "rose a", "b": "rose b", "c": "rose c"}
    collection = collection_of(DOCUMENTS, queries, train={query_id: {"p": 1} for query_id in queries})
    groups = [Group(query_id, "p", (Negative("n", 1, 1.0, "bm25"),)) for query_id in queries]
    scores = {(queries[query_id], "rose one"): 0.5 for query_id in queries}
    scores |= {(queries[q], "rose two"): score for q, score in (("a", 0.6), ("b", 0.9), ("c", 0.7))}
    found = audit(Triples(groups), collection, scorer=Given(scores))
    assert [one.query_id for one in found.queries] == ["b", "c", "a"]


def test_what_a_person_accepted_is_not_suspected_again(collection: Collection) -> None:
    query = collection.query_texts["q"]
    scorer = Given({(query, "rose one"): 0.5, (query, LONG): 0.5, (query, DOCUMENTS["near"]): 0.9})
    triples = triples_of("near", "copy")
    flagged = {one.doc_id: one.flags for one in audit(triples, collection, scorer=scorer).negatives}
    assert flagged["near"] == ("near", "above")
    accepted = Verdicts(accepted=frozenset({("q", "near"), ("q", "copy")}))
    audited = audit(triples, collection, scorer=scorer, verdicts=accepted)
    flagged = {one.doc_id: one.flags for one in audited.negatives}
    assert flagged["near"] == ()
    assert flagged["copy"] == ("same",)  # it is the very text of a relevant document, whatever was said


def test_a_verdict_is_about_texts_and_not_about_places(remarks: list[str]) -> None:
    """In data without ids a line more makes every id another document's."""
    documents = {"1": "rose", "2": "rose garden wall", "3": "rose bush"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"1": 1}})
    mark = texts_mark("rose", "rose garden wall")
    verdicts = Verdicts(rejected=frozenset({("q", "2")}), marks={("q", "2"): mark})

    def negatives(collection: Collection, verdicts: Verdicts) -> set[str]:
        (group,) = mine(collection, settings=MineSettings(negatives=5), verdicts=verdicts).groups
        return {collection.texts[collection.doc_row[one.doc_id]] for one in group.negatives}

    assert negatives(collection, verdicts) == {"rose bush"}
    moved = {"1": "rose", "2": "rose tree", "3": "rose garden wall", "4": "rose bush"} | FILLER
    collection = collection_of(moved, {"q": "rose"}, train={"q": {"1": 1}})
    with pytest.raises(MismatchError, match=r"1 of 1 verdicts were given on other texts than c has by these"):
        negatives(collection, verdicts)
    several = replace(verdicts, rejected=verdicts.rejected | {("q", "4")})
    assert negatives(collection, several) == {"rose tree", "rose garden wall"}
    assert any(said.startswith("1 of 2 verdicts were given on other texts") for said in remarks)
    told = len(remarks)
    audited = audit(mine(collection), collection, verdicts=several)
    assert audited.verdicts.rejected == {("q", "4")}
    assert len(remarks) == told


def test_a_verdict_holds_for_copies_and_for_whoever_asks_the_same() -> None:
    """As a judgment does."""
    documents = {
        "p": "rose",
        "n1": "rose garden wall",
        "copy": "Rose  garden wall",
        "n2": "rose bush",
    } | FILLER
    collection = collection_of(documents, {"a": "rose", "b": "Rose"}, train={"a": {"p": 1}, "b": {"p": 1}})
    for said in ("n1", "copy"):
        verdicts = Verdicts(rejected=frozenset({("a", said)}))
        triples = mine(
            collection, settings=MineSettings(negatives=3, near_duplicates=None), verdicts=verdicts
        )
        for group in triples.groups:
            assert [negative.doc_id for negative in group.negatives] == ["n2"]


def test_verdicts_of_another_mining_are_refused(remarks: list[str]) -> None:
    documents = {"p": "rose", "n1": "rose garden wall", "n2": "rose bush"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    foreign = frozenset({("nobody", "n1"), ("q", "nothing")})
    with pytest.raises(MismatchError, match=r"2 of 2 verdicts name a query or document .*of another mining"):
        mine(collection, verdicts=Verdicts(rejected=foreign))
    mine(collection, verdicts=Verdicts(rejected=foreign | {("q", "n1")}))
    assert any(said.startswith("2 of 3 verdicts name") for said in remarks)
