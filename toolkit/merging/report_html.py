"""A merge's report as a page that opens alone: no script, nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from toolkit.merging.chart import ChartRow, accuracy_chart
from toolkit.merging.report import IngredientReport, MergeReport
from toolkit.merging.scores import Score
from toolkit.vocabulary import SplitName

_STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1a2230; --soft: #5d6878; --line: #e2e6ec; --track: #eef1f5;
  --accent: #2558d4; --accent-soft: #dbe6ff; --other: #8793a5;
  --good: #0c7a4d; --good-soft: #dcf4e8; --fair: #8a5a00; --fair-soft: #fdf0d5;
  --bad: #b3261e; --bad-soft: #fde4e1; --plain: #4a5566; --plain-soft: #e8ebf0; }
@media (prefers-color-scheme: dark) { :root {
  --page: #11151c; --card: #191f29; --ink: #e7ebf2; --soft: #9aa6b8; --line: #2a3341; --track: #232b37;
  --accent: #86aaff; --accent-soft: #22335c; --other: #8390a4;
  --good: #5fd6a0; --good-soft: #12372a; --fair: #f0c060; --fair-soft: #3a2d12;
  --bad: #ff9c92; --bad-soft: #45201d; --plain: #b9c3d2; --plain-soft: #252d3a; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 54rem; margin: 0 auto; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem; letter-spacing: -.015em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.02rem; margin: 0 0 .9rem; }
.under { color: var(--soft); margin: 0 0 1.5rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.3rem 1.5rem 1.4rem; margin: 0 0 1.1rem; }
.verdict { border: 0; border-left: 5px solid currentColor; font-size: 1.08rem; font-weight: 550;
  padding: 1.05rem 1.4rem; }
.verdict p { margin: 0; } .verdict p + p { margin-top: .45rem; font-size: .95rem; font-weight: 450; }
.better { color: var(--good); background: var(--good-soft); }
.perhaps, .equal { color: var(--fair); background: var(--fair-soft); }
.worse { color: var(--bad); background: var(--bad-soft); }
.unchanged, .unmeasured { color: var(--plain); background: var(--plain-soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1.1rem .9rem;
  margin: 0; }
.figures div { min-width: 0; }
.figures dt { color: var(--soft); font-size: .82rem; }
.figures dd { margin: 0; font-size: 1.32rem; font-weight: 620; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
.figures dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft);
  letter-spacing: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .82rem; }
th, td { padding: .5rem .7rem; border-bottom: 1px solid var(--line); vertical-align: baseline; }
tr > :first-child { padding-left: 0; } tr > :last-child { padding-right: 0; }
tbody tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 9rem; font-weight: 550; }
.bar { display: inline-block; width: 5rem; height: .5rem; border-radius: .25rem; background: var(--track);
  margin-right: .6rem; overflow: hidden; vertical-align: .05rem; }
.bar i { display: block; height: 100%; border-radius: .25rem; background: var(--accent); }
.yes { color: var(--good); } .no { color: var(--soft); }
code { font: .86em ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); }
ul { margin: 0; padding-left: 1.15rem; } li + li { margin-top: .3rem; }
svg { display: block; width: 100%; height: auto; } svg.narrow { display: none; }
svg text { fill: var(--ink); font: inherit; }
svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); }
svg .other { fill: var(--other); stroke: var(--other); }
svg .merged { fill: var(--accent); stroke: var(--accent); }
svg .lane { fill: var(--accent-soft); } svg .strong { font-weight: 650; }
footer { color: var(--soft); font-size: .84rem; overflow-wrap: anywhere; }
footer p { margin: .25rem 0; }
@media (max-width: 40rem) {
  svg.wide, .bar, .digest { display: none; } svg.narrow { display: block; }
  body { padding: 1.5rem .8rem 3rem; } section { padding: 1.1rem 1rem; }
  th, td { padding: .45rem .35rem; } td.name { min-width: 6rem; } }
@media print { body { background: none; padding: 0; } section { break-inside: avoid; } }
"""

_CLASSES = {
    "better": "better",
    "perhaps better": "perhaps",
    "equal": "equal",
    "worse": "worse",
    "unchanged": "unchanged",
    "not measured": "unmeasured",
}


def page(report: MergeReport) -> str:
    """The report as one HTML document.

    Returns:
        A page that needs nothing beside itself, in light or dark as its reader prefers.
    """
    parts = [
        _verdict(report),
        _figures(report),
        *(_chart(report, score.split) for score in report.scores),
        _ingredients(report),
        _steps(report),
        _list("What was chosen, and why", (*report.choices, report.recalibration.sentence)),
        _list("Worth knowing", report.notes),
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Merge report: {escape(report.output)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(report.output)}</h1>
<p class="under">{_subtitle(report)}</p>
{"".join(parts)}{_footer(report)}
</main>
</body>
</html>
"""


def _subtitle(report: MergeReport) -> str:
    options = ", ".join(f"{key} = {_plain(value)}" for key, value in report.options.items())
    how = f"{report.strategy} ({options})" if options else report.strategy
    return escape(f"A merge of {len(report.ingredients)} models by {how}")


def _plain(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, list | tuple):
        return " : ".join(map(str, value)) or "default"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _verdict(report: MergeReport) -> str:
    sentences = [report.verdict.sentence]
    if report.test_verdict is not None:
        sentences.append(report.test_verdict.sentence)
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    return f'<section class="verdict {_CLASSES[report.verdict.outcome]}">{body}</section>\n'


def _figures(report: MergeReport) -> str:
    figures: list[tuple[str, str, str]] = []
    for score in report.scores:
        interval = f"95 % interval {100 * score.low:.2f} to {100 * score.high:.2f}"
        figures.append((f"Accuracy, {score.split}", f"{100 * score.accuracy:.2f} %", interval))
    comparison = report.verdict.comparison
    if report.verdict.gain is not None and comparison is not None:
        gain = _signed(report.verdict.gain)
        detail = f"points; {comparison.gained} images gained, {comparison.lost} lost"
        figures.append(("Against the best", gain, detail))
    used = sum(item.weight > 0 for item in report.ingredients)
    of = f"of {len(report.ingredients)}; they count as {report.effective_number:.2f} equal ones"
    figures.append(("Ingredients used", str(used), of))
    figures.append(("Network", f"{report.parameters:,}", f"parameters, {report.classes} classes"))
    body = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(detail)}</small></dd></div>"
        for name, value, detail in figures
    )
    return f'<section><dl class="figures">{body}</dl></section>\n'


def _chart(report: MergeReport, split: SplitName) -> str:
    rows = [_row(report.output, report.scores, split, merged=True)]
    rows += [_row(item.name, item.scores, split) for item in report.ingredients]
    rows.append(_row(f"plain mean of all {len(report.ingredients)}", report.plain_mean, split))
    shown = [row for row in rows if row is not None]
    images = next(score.images for score in report.scores if score.split == split)
    title = f"Accuracy on {images:,} {split} images of {report.dataset}, with 95 % intervals"
    charts = accuracy_chart(shown, title) + accuracy_chart(shown, title, narrow=True)
    return f"<section><h2>{escape(title)}</h2>{charts}</section>\n"


def _row(name: str, scores: Sequence[Score], split: SplitName, *, merged: bool = False) -> ChartRow | None:
    score = _of(scores, split)
    return None if score is None else ChartRow(name, score.accuracy, score.low, score.high, merged)


def _of(scores: Sequence[Score], split: SplitName) -> Score | None:
    return next((score for score in scores if score.split == split), None)


def _ingredients(report: MergeReport) -> str:
    splits: list[SplitName] = [score.split for score in report.scores]
    heads = "".join(f'<th class="n">{split}</th>' for split in splits) or '<th class="n">by its card</th>'
    rows = "".join(_ingredient(item, splits) for item in report.ingredients)
    return (
        '<section><h2>Ingredients</h2><div class="scroll"><table><thead><tr><th>model</th><th>share</th>'
        f'{heads}<th class="n digest">weights digest</th></tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>\n"
    )


def _ingredient(item: IngredientReport, splits: Sequence[SplitName]) -> str:
    found = [_of(item.scores, split) for split in splits]
    shares = [None if score is None else score.accuracy for score in found] or [item.recorded_accuracy]
    cells = "".join(f'<td class="n">{_percent(share)}</td>' for share in shares)
    bar = f'<span class="bar"><i style="width:{100 * item.weight:.1f}%"></i></span>'
    return (
        f'<tr><td class="name">{escape(item.name)}</td><td class="n" style="text-align:left">{bar}'
        f"{100 * item.weight:.1f} %</td>{cells}"
        f'<td class="n digest"><code>{escape(item.digest[:12])}</code></td></tr>'
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _signed(gain: float) -> str:
    return f"{100 * gain:+.2f}".replace("-", "−")


def _steps(report: MergeReport) -> str:
    if not report.steps:
        return ""
    rows: list[str] = []
    best: float | None = None
    for number, step in enumerate(report.steps, start=1):
        change = "" if best is None else _signed(step.score - best)
        mark = '<td class="yes">✓ kept</td>' if step.accepted else '<td class="no">left out</td>'
        rows.append(
            f'<tr><td class="n" style="text-align:left">{number}</td>'
            f'<td class="name">{"" if best is None else "+ "}{escape(step.ingredient)}</td>'
            f'<td class="n">{_percent(step.score)}</td><td class="n">{change}</td>{mark}</tr>'
        )
        best = step.score if step.accepted or best is None else best
    return (
        '<section><h2>Step by step, on validation images</h2><div class="scroll"><table><thead><tr>'
        '<th>step</th><th>candidate</th><th class="n">accuracy</th><th class="n">change</th><th></th>'
        "</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>\n"
    )


def _list(title: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(_capital(sentence))}</li>" for sentence in sentences)
    return f"<section><h2>{escape(title)}</h2><ul>{items}</ul></section>\n"


def _capital(sentence: str) -> str:
    """The sentence with a capital, unless it begins with a file's name."""
    first = sentence.split(" ", 1)[0]
    return sentence if "." in first or "/" in first else sentence[:1].upper() + sentence[1:]


def _footer(report: MergeReport) -> str:
    convention = "unknown" if report.convention is None else str(report.convention)
    made = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return (
        f"<footer><p>Weights digest <code>{escape(report.weights_digest)}</code></p>"
        f"<p>Pixels {escape(convention)} · seed {report.seed} · {report.seconds:.1f} s · {escape(made)}</p>"
        "</footer>"
    )
