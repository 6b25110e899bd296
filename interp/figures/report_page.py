"""The page of a report, made from its contents and from nothing else.

Texts and tables stand in the page as HTML, so it reads without a script; Plotly draws the figures
from the contents, which the page holds as JSON. `contents_of` reads them back, and `page` of what
it reads is the page again, byte for byte: that is how `interp.verify` finds what was changed by
hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from plotly.offline import get_plotlyjs

from interp.errors import InputError
from interp.figures.theme import ACCENT, FONT, GREY, INK, PALE
from interp.results.display import number

LAYOUT = 1
_STYLE = f"""
:root {{ color-scheme: light dark; --ink: {INK}; --grey: {GREY}; --pale: {PALE}; --paper: #fff;
  --accent: {ACCENT}; --code: #f6f6f6; --wrong: #b3261e }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e4e4e4; --grey: #a6a6a6; --pale: #3a3d42;
  --paper: #17191c; --accent: #6cb8ea; --code: #222529; --wrong: #ff8a80 }} }}
* {{ box-sizing: border-box }}
body {{ font: 15px/1.5 {FONT}; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.5rem 1rem 4rem; max-width: 950px }}
h1 {{ font-size: 1.7rem; margin: 0 0 .2rem }}
h2 {{ font-size: 1.25rem; line-height: 1.3; margin: 0 0 .4rem }}
section {{ border-top: 1px solid var(--pale); margin-top: 2.2rem; padding-top: 1.4rem }}
a {{ color: var(--accent) }} .small {{ color: var(--grey); font-size: 13px }}
.verdict {{ font-weight: 600; margin: .3rem 0 }} .wrong {{ color: var(--wrong) }}
p {{ margin: .4rem 0 }} ul {{ margin: .4rem 0; padding-left: 1.3rem }}
table {{ border-collapse: collapse; font-size: 12px; font-variant-numeric: tabular-nums }}
th, td {{ padding: .15rem .6rem; border-bottom: 1px solid var(--pale); text-align: right;
  white-space: nowrap }}
th.text, td.text {{ text-align: left }} td.long {{ text-align: left; white-space: normal }}
thead th {{ position: sticky; top: 0; background: var(--paper); cursor: pointer }}
thead th:hover, thead th:focus {{ color: var(--accent) }}
th[aria-sort=ascending]::after {{ content: ' ▲' }} th[aria-sort=descending]::after {{
  content: ' ▼' }}
.scroll {{ overflow: auto; max-height: 28rem; border: 1px solid var(--pale); border-radius: 4px }}
pre {{ background: var(--code); padding: .7rem 1rem; overflow-x: auto; font-size: 12.5px;
  border-radius: 4px; margin: .4rem 0 }}
code {{ overflow-wrap: anywhere }}
summary {{ cursor: pointer; margin: .5rem 0; color: var(--accent) }}
figure {{ margin: 1rem 0 }} figcaption {{ color: var(--grey); font-size: 13px; margin-top: .3rem }}
.sheet {{ background: #fff; border-radius: 6px; overflow-x: auto }}
nav {{ display: none }} nav li {{ margin: .2rem 0 }}
nav ul {{ list-style: none; padding: 0; font-size: 13px }}
nav a {{ text-decoration: none }} nav b {{ display: block; margin-top: .6rem }}
@media (min-width: 1240px) {{
  body {{ max-width: 1240px; display: grid; grid-template-columns: 250px minmax(0, 1fr);
    column-gap: 2rem }}
  header, .ending {{ grid-column: 2 }} main {{ grid-column: 2 }}
  nav {{ display: block; grid-column: 1; grid-row: 1 / span 3; position: sticky; top: 1rem;
    align-self: start; max-height: calc(100vh - 2rem); overflow-y: auto }}
}}
@media print {{
  :root {{ --ink: #000; --grey: #444; --pale: #ccc; --paper: #fff; --accent: #000;
    --code: #f6f6f6 }}
  body {{ max-width: none; display: block; font-size: 12px; padding: 0 }} nav {{ display: none }}
  .small, figcaption {{ font-size: 11px }}
  figure {{ break-inside: avoid }} .sheet > div {{ zoom: .74 }} .scroll {{ max-height: none }}
  pre {{ white-space: pre-wrap }} h2, .verdict {{ break-after: avoid }}
}}
"""
_SCRIPT = """
const contents = JSON.parse(document.getElementById('contents').textContent);
const plots = [...document.querySelectorAll('.plotly-graph-div')];
const width = (plot, full) => Math.min(full || 900, plot.parentElement.clientWidth || 900);
function draw(plot) {
  if (plot._fullLayout) return;
  const {data, layout} = contents.sections[plot.dataset.section].figures[plot.dataset.name].figure;
  plot.full = layout.width;
  Plotly.newPlot(plot, data, {...layout, width: width(plot, plot.full)}, {displaylogo: false});
}
function following(i) {
  if (i < plots.length) { draw(plots[i]); setTimeout(() => following(i + 1)); }
}
following(0);
addEventListener('beforeprint', () => plots.forEach(draw));
let waiting;
addEventListener('resize', () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => plots.filter(plot => plot._fullLayout).forEach(
    plot => Plotly.relayout(plot, {width: width(plot, plot.full)})), 200);
});
const value = (row, i) => row.cells[i].textContent.replace('\\u2212', '-');
const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b, 'en', {numeric: true}) : a - b;
function sort(head) {
  const down = head.getAttribute('aria-sort') === 'ascending';
  const body = head.closest('table').tBodies[0];
  for (const other of head.parentElement.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const rows = [...body.rows], i = head.cellIndex;
  rows.sort((a, b) => order(value(a, i), value(b, i)) * (down ? -1 : 1));
  body.append(...rows);
}
for (const head of document.querySelectorAll('thead th')) {
  head.onclick = () => sort(head);
  head.onkeydown = key => { if (key.key === 'Enter' || key.key === ' ') {
    key.preventDefault(); sort(head); } };
}
"""
_HELD = re.compile(r"<script type='application/json' id='contents'>(.*?)</script>", re.DOTALL)
_SECTION = re.compile(r"<section id='(s\d+)'>.*?</section>", re.DOTALL)


def page(contents: Mapping[str, Any]) -> bytes:
    """Render the contents of a report as one HTML page that needs no network."""
    sections = contents["sections"]
    held = json.dumps(contents, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    title = escape(contents["title"])
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>",
        f"<header><h1>{title}</h1>",
        f"<p>{escape(contents['lead'])}</p>" if contents["lead"] else "",
        f"</header>{_contents_table(sections)}<main>{_findings(sections)}",
        *(_section(section, i) for i, section in enumerate(sections)),
        _left_out(contents["left_out"]),
        f"</main>{_ending(contents)}",
        f"<script type='application/json' id='contents'>{held}</script>",
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(part for part in parts if part).encode()


def contents_of(text: str) -> Any:
    """The contents that a page holds, as they stand: whoever wrote the file may have written
    anything.

    Raises:
        InputError: for a file that holds none.
    """
    held = _HELD.findall(text)
    if len(held) != 1:
        raise InputError("this file is no report: arithmoscope report writes one")
    try:
        return json.loads(held[0])
    except (ValueError, RecursionError) as error:
        raise InputError(f"the numbers that this report holds cannot be read ({error})") from error


def shown_sections(text: str) -> dict[str, str]:
    """Section id → its HTML, of a page."""
    return {found[1]: found[0] for found in _SECTION.finditer(text)}


def _contents_table(sections: Sequence[Mapping[str, Any]]) -> str:
    if len(sections) < 4:
        return ""
    items = []
    for group, members in groupby(enumerate(sections), lambda each: str(each[1]["group"])):
        links = "".join(
            f"<li><a href='#s{i}'>{escape(section['title'])}</a></li>" for i, section in members
        )
        items.append(f"<li>{f'<b>{escape(group)}</b>' if group else ''}<ul>{links}</ul></li>")
    return f"<nav aria-label='Contents'><ul>{''.join(items)}</ul></nav>"


def _findings(sections: Sequence[Mapping[str, Any]]) -> str:
    """One line per section, with the verdict or the reason why there is none."""
    items = "".join(
        f"<li><a href='#s{i}'>{escape(section['title'])}</a> {_found(section)}</li>"
        for i, section in enumerate(sections)
    )
    return f"<h2>What was found</h2><ul>{items}</ul>"


def _found(section: Mapping[str, Any]) -> str:
    if "error" in section:
        return "<span class='wrong'>failed</span>"
    if section["verdict"]:
        return escape(section["verdict"])
    return f"<span class='small'>{escape(section['no_verdict'])}</span>"


def _section(section: Mapping[str, Any], i: int) -> str:
    head = f"<section id='s{i}'><h2>{escape(section['title'])}</h2>"
    if "error" in section:
        return (
            f"{head}<p class='wrong'>This analysis failed:</p><pre>{escape(section['error'])}</pre>"
            "</section>"
        )
    figures = "".join(
        _figure(drawn, i, name, section["caption"]) for name, drawn in section["figures"].items()
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in section["notes"])
    parts = [
        head,
        f"<p>{escape(section['text'])}</p>" if section["text"] else "",
        f"<p class='verdict'>{_found(section)}</p>",
        f"<p class='small'>{escape(section['caption'])}</p>",
        figures,
        f"<p><b>Does not show</b></p><ul>{notes}</ul>" if notes else "",
        _headlines(section["metrics"]),
        _table(section["table"]),
        f"<details><summary>The call</summary><pre>{escape(section['code'])}</pre></details>",
        "</section>",
    ]
    return "".join(parts)


def _figure(drawn: Mapping[str, Any], i: int, name: str, caption: str) -> str:
    """The place of a figure, and what its caption adds to the section's."""
    height = drawn["figure"].get("layout", {}).get("height", 400)
    own = escape(drawn["caption"].removeprefix(caption).lstrip(" ·"))
    return (
        f"<figure><div class='sheet'><div class=\"plotly-graph-div\" data-section='{i}' "
        f"data-name='{escape(name)}' style='min-height:{escape(str(height))}px'></div></div>"
        f"{f'<figcaption>{own}</figcaption>' if own else ''}</figure>"
    )


def _headlines(metrics: Sequence[Sequence[Any]]) -> str:
    if not metrics:
        return ""
    rows = "".join(
        f"<tr><td class='text'>{escape(name)}</td><td>{_cell(value)}</td>"
        f"<td class='long'>{escape(meaning)}</td></tr>"
        for name, value, meaning in metrics
    )
    head = _head(["number", "value", "meaning"], ("number", "meaning"))
    return (
        f"<details><summary>Headlines ({len(metrics)})</summary><div class='scroll'>"
        f"<table>{head}<tbody>{rows}</tbody></table></div></details>"
    )


def _head(names: Sequence[str], texts: Sequence[str] = ()) -> str:
    """The heading of a table; the columns of `texts` are aligned to the left."""
    kinds = dict.fromkeys(texts, " class='text'")
    cells = "".join(
        f"<th tabindex='0' title='Sort'{kinds.get(name, '')}>{escape(name)}</th>" for name in names
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _table(table: Mapping[str, Any]) -> str:
    """The tidy table, folded; four digits, with exact numbers in the contents."""
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>"
        for row in table["rows"]
    )
    more = table["total"] - len(table["rows"])
    rest = f"<p class='small'>… {more:,} more rows, which the call gives</p>" if more else ""
    return (
        f"<details><summary>Table ({table['total']:,} rows)</summary><div class='scroll'><table>"
        f"{_head(table['columns'])}<tbody>{rows}</tbody></table></div>{rest}</details>"
    )


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return number(value) if isinstance(value, float) else escape(str(value))


def _left_out(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    items = "".join(
        f"<li><b>{escape(name)}</b>: {escape(why)}</li>" for name, why in left_out.items()
    )
    return f"<section id='left-out'><h2>What was left out, and why</h2><ul>{items}</ul></section>"


def _ending(contents: Mapping[str, Any]) -> str:
    """Models, versions, machine, and settings and time of each analysis."""
    models = "; ".join(
        f"{escape(model['name'])} <code>{escape(model['hash'])}</code>"
        for model in contents["models"]
    )
    versions = ", ".join(
        f"{escape(name)} {escape(version)}" for name, version in contents["versions"].items()
    )
    lines = [
        f"Models, with the hash of their weights: {models}." if models else "",
        f"Versions: {versions}." if versions else "",
        f"Machine: {escape(contents['machine'])}." if contents["machine"] else "",
    ]
    script = contents["script"]
    asked = f"<p><b>The run</b></p><pre>{escape(script)}</pre>" if script else ""
    return (
        f"<section class='ending' id='again'><h2>How to make it again</h2>{asked}"
        f"<p class='small'>{'<br>'.join(filter(None, lines))}</p>"
        f"{_settings(contents['sections'])}</section>"
    )


def _settings(sections: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td class='text'><a href='#s{i}'>{escape(_name(section))}</a></td>"
        f"<td>{_cell(section['seconds'])}</td>"
        f"<td class='long'><code>{escape(section['settings'])}</code></td></tr>"
        for i, section in enumerate(sections)
        if "error" not in section
    )
    head = _head(["analysis", "seconds", "settings"], ("analysis", "settings"))
    return (
        "<details><summary>Settings and times</summary><div class='scroll'>"
        f"<table>{head}<tbody>{rows}</tbody></table></div></details>"
    )


def _name(section: Mapping[str, Any]) -> str:
    return str(section["call"]["analysis"] if section["call"] else section["title"])
