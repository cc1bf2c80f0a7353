"""The audit as one static page: no network, every text escaped, and no script but its own may run."""

import base64
import hashlib
import html
import json
from collections.abc import Iterator
from pathlib import Path
from string import Template

from textrip.mining.audited import FLAGS, NAMES, Audit, Audited, Shown, histogram
from textrip.mining.verdicts import ACCEPT, REJECT, Verdicts
from textrip.replacing import replacing

_SCRIPT = """
"use strict";
const bar = document.getElementById("bar");
// What was decided before is there from the start: what is saved takes the place of the former file.
const verdicts = new Map(JSON.parse(bar.dataset.verdicts).map(
  ([query_id, doc_id, verdict, texts]) => [JSON.stringify([query_id, doc_id]), {verdict, texts}]));
const state = () => JSON.stringify([...verdicts].sort());
let saved = state();
function press(row) {
  const known = verdicts.get(keyOf(row))?.verdict;
  for (const button of row.querySelectorAll("button[data-verdict]"))
    button.setAttribute("aria-pressed", String(known === button.dataset.verdict));
}
function keyOf(row) {
  return JSON.stringify(JSON.parse(row.dataset.pair));
}
function show() {
  const many = verdicts.size;
  document.getElementById("count").textContent =
    many === 1 ? "1 verdict" : many + " verdicts";
  document.getElementById("save").disabled = many === 0 && state() === saved;
  bar.classList.toggle("unsaved", state() !== saved);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-verdict]");
  if (!button) return;
  const row = button.closest(".document");
  const key = keyOf(row), verdict = button.dataset.verdict;
  if (verdicts.get(key)?.verdict === verdict) verdicts.delete(key);
  else verdicts.set(key, {verdict, texts: row.dataset.texts});
  press(row);
  show();
});
document.getElementById("save").addEventListener("click", () => {
  const lines = [...verdicts].map(([key, {verdict, texts}]) => {
    const [query_id, doc_id] = JSON.parse(key);
    return JSON.stringify({query_id, doc_id, verdict, texts}) + "\\n";
  });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, {type: "application/jsonl"}));
  link.download = "verdicts.jsonl";
  link.click();
  saved = state();
  show();
});
for (const box of document.querySelectorAll("input[data-flag]"))
  box.addEventListener("change", () => {
    const wanted = [...document.querySelectorAll("input[data-flag]:checked")].map((one) => one.dataset.flag);
    for (const card of document.querySelectorAll("section.query"))
      card.hidden = wanted.length > 0 && !wanted.some((flag) => card.dataset.flags.split(" ").includes(flag));
  });
window.addEventListener("beforeunload", (event) => {
  if (state() !== saved) event.preventDefault();
});
for (const row of document.querySelectorAll(".document")) press(row);
show();
"""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --bad: #c8442f; --good: #2a9d5c; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 4rem; }

h1 { font-size: 1.4rem; margin-bottom: .2rem; }
h1, h2, .facts { overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
.quiet { opacity: .7; }
table { border-collapse: collapse; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
section.query { border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; margin: 1rem 0; }
.document { border-top: 1px solid var(--line); padding: .5rem 0 .5rem .7rem; border-left: 4px solid #8886; }
.document.positive { border-left-color: var(--good); }
.document.suspect { border-left-color: var(--bad); }
.facts { font-size: .85rem; opacity: .85; font-variant-numeric: tabular-nums; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.flag { background: var(--bad); color: #fff; border-radius: 3px; padding: 0 .4rem; font-size: .8rem; }
.flag { margin-left: .4rem; }
button { font: inherit; font-size: .85rem; border: 1px solid var(--line); background: var(--soft); }
button { border-radius: 4px; cursor: pointer; margin-left: .4rem; }
button[aria-pressed="true"][data-verdict="reject"] { background: var(--bad); color: #fff; }
button[aria-pressed="true"][data-verdict="accept"] { background: var(--good); color: #fff; }
#bar { position: fixed; bottom: 0; left: 0; right: 0; padding: .6rem 1rem; text-align: center; }
#bar { background: Canvas; border-top: 1px solid var(--line); }
#bar.unsaved #count { font-weight: bold; }
.axis { font-size: 11px; fill: currentColor; }
"""

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
 script-src 'sha256-$hash'">
<style>$style</style></head><body>
<h1>$title</h1>
<p class="quiet">$about</p>
<table><tr><th>Flag</th><th>Negatives</th><th>Share</th><th>Show only</th></tr>$shares</table>
$histogram
<p class="quiet">The most suspicious queries come first. Reject what is relevant after all, accept what a
filter should not leave out, save the file, and mine again with the same options and, besides,
<code>--verdicts verdicts.jsonl --force</code>.</p>
$queries
<div id="bar" data-verdicts="$verdicts"><span id="count"></span>
<button id="save">Save verdicts.jsonl</button></div>
<script>$script</script></body></html>
""")


def write_page(audited: Audit, path: Path, *, name: str, force: bool = False) -> None:
    """Write the page; `name` is the collection's."""
    shown, negatives = len(audited.queries), audited.negatives
    about = (
        f"{shown:,} of {audited.of:,} queries, {len(negatives):,} negatives"
        + (f"; model scores by {audited.model}, relative to the lowest positive" if audited.model else "")
        + "."
    )
    page = _PAGE.substitute(
        title=html.escape(f"Mined negatives of {name}"),
        hash=base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode(),
        style=_STYLE,
        about=html.escape(about),
        shares="".join(_share_rows(audited)),
        histogram=_histogram([one.relative for one in negatives if one.relative is not None]),
        queries="\n".join(map(_query, audited.queries)),
        verdicts=html.escape(json.dumps(list(_known(audited.verdicts)))),
        script=_SCRIPT,
    )
    with replacing(path, force=force) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _known(verdicts: Verdicts) -> Iterator[tuple[str, str, str, str]]:
    """(query_id, doc_id, verdict, mark of the texts) of what was decided before."""
    for verdict, pairs in ((REJECT, verdicts.rejected), (ACCEPT, verdicts.accepted)):
        for query_id, doc_id in sorted(pairs):
            yield query_id, doc_id, verdict, verdicts.marks.get((query_id, doc_id), "")


def _share_rows(audited: Audit) -> Iterator[str]:
    for flag, share in audited.shares.items():
        yield f"<tr><td>{NAMES[flag]}: {html.escape(FLAGS[flag])}</td>"
        if share is None:
            yield "<td colspan=3>not asked (--report-model)</td></tr>"
            continue
        yield (
            f"<td class=number>{round(share * len(audited.negatives)):,}</td>"
            f'<td class=number>{share:.1%}</td><td><input type="checkbox" data-flag="{flag}" '
            f'aria-label="show only {html.escape(FLAGS[flag])}"></td></tr>'
        )


def _histogram(values: list[float]) -> str:
    """Bars of the model's scores relative to the lowest positive; what stands at 0 or above is suspicious."""
    if not values:
        return ""
    edges = [round(-0.7 + 0.1 * step, 1) for step in range(15)]  # -0.7 to 0.7
    bins = list(histogram(values, edges))
    most = max(count for _, _, count in bins) or 1
    bars = []
    for place, (begin, end, count) in enumerate(bins):
        height = 90 * count / most
        colour = "#c8442f" if begin >= 0 else "#7d8ca3"
        bars.append(
            f'<rect x="{place * 40 + 1}" y="{100 - height:.1f}" width="38" height="{height:.1f}" '
            f'fill="{colour}"><title>{begin:+.2f} to {end:+.2f}: {count:,}</title></rect>'
            f'<text class="axis" x="{place * 40 + 20}" y="{96 - height:.1f}" '
            f'text-anchor="middle">{count:,}</text>'
        )
    ticks = "".join(
        f'<text class="axis" x="{place * 40}" y="114" text-anchor="middle">{edge:+.1f}</text>'
        for place, edge in enumerate(edges)
        if place % 2 == 1
    )
    return (
        '<figure style="margin:1rem 0"><svg viewBox="-20 -12 600 130" width="100%" role="img" '
        f'aria-label="histogram">{"".join(bars)}{ticks}</svg><figcaption class="quiet">Negatives by the '
        "model's score, relative to the lowest positive of their query; the outer bars hold what lies beyond."
        "</figcaption></figure>"
    )


def _query(one: Audited) -> str:
    flags = sorted({flag for negative in one.negatives for flag in negative.flags})
    documents = [_document(one.query_id, each) for each in (*one.positives, *one.negatives)]
    return (
        f'<section class="query" data-flags="{" ".join(flags)}"><h2>{html.escape(one.query)} '
        f'<span class="quiet">{html.escape(one.query_id)}</span></h2>{"".join(documents)}</section>'
    )


def _document(query_id: str, one: Shown) -> str:
    positive = one.source == "positive"
    kind = "positive" if positive else "negative suspect" if one.flags else "negative"
    facts = [one.source, one.doc_id]
    if one.rank and one.source != "bm25":
        facts += [f"rank {one.rank}", f"score {one.score:.2f}"]
    facts += _by_bm25(one)
    if one.model is not None:
        facts.append(f"model {one.model:.3f}")
    if one.relative is not None and not positive:
        facts.append(f"relative {one.relative:+.3f}")
    if one.relative == 0 and positive:
        facts.append("the lowest positive")
    flags = "".join(
        f'<span class="flag" title="{html.escape(FLAGS[flag])}">{NAMES[flag]}</span>' for flag in one.flags
    )
    buttons = (
        ""
        if positive
        else "".join(
            f' <button data-verdict="{verdict}" aria-pressed="false">{verdict}</button>'
            for verdict in (REJECT, ACCEPT)
        )
    )
    title = f"<b>{html.escape(one.title)}</b> " if one.title else ""
    # As JSON: a browser changes a carriage return and a NUL, and the verdict would name what is not there.
    pair = html.escape(json.dumps([query_id, one.doc_id]))
    return (
        f'<div class="document {kind}" data-pair="{pair}" data-texts="{one.texts}">'
        f'<div class="facts">{html.escape(" · ".join(facts))}'
        f'{flags}{buttons}</div><div class="text">{title}{html.escape(one.text)}</div></div>'
    )


def _by_bm25(one: Shown) -> list[str]:
    if one.bm25_rank is None or one.bm25_score is None:
        return ["BM25 not asked"]
    if not one.bm25_rank:
        return ["not ranked by BM25: no common word that tells documents apart"]
    return [f"BM25 rank {one.bm25_rank:,}", f"BM25 score {one.bm25_score:.2f}"]
