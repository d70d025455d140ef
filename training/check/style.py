"""How the page of a check looks, by day and by night."""

CSS = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #1b1f24; --faint: #66707c; --line: #dfe3e8;
  --error: #c62828; --warning: #b26a00; --note: #2f6db5; --bar: #4c8dd6; --test: #9aa7b5; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1d2126; --ink: #e6e9ed; --faint: #98a2ae;
  --line: #323840; --error: #ff7b72; --warning: #e3a04b; --note: #74b0f4; --bar: #3f7fc7; --test: #5d6875; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: .35rem 0; overflow-wrap: anywhere; }
.faint, figcaption, th { color: var(--faint); }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 0; padding: 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; }
.figures dt { color: var(--faint); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.finding { background: var(--card); border: 1px solid var(--line); border-left: .3rem solid var(--note);
  border-radius: .5rem; padding: .9rem 1.1rem; margin: 0 0 .9rem; }
.finding.warning { border-left-color: var(--warning); } .finding.error { border-left-color: var(--error); }
.badge { font-size: .75rem; font-weight: 600; text-transform: uppercase; letter-spacing: .05em; color: var(--note); }
.warning .badge { color: var(--warning); } .error .badge { color: var(--error); }
.advice { font-weight: 600; }
.groups { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: .75rem; }
.group { display: flex; flex-wrap: wrap; gap: .5rem; padding: .5rem;
  border: 1px solid var(--line); border-radius: .4rem; }
figure { margin: 0; width: 6rem; font-size: .75rem; line-height: 1.3; }
figure img { width: 6rem; height: 6rem; border-radius: .25rem; display: block; background: var(--line); }
figcaption { margin-top: .25rem; }
figcaption span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
figcaption .name { direction: rtl; text-align: left; } figcaption b { color: var(--ink); font-weight: 600; }
ul.files { margin: .6rem 0 0; padding-left: 1.2rem; font-size: .9rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { font-weight: 500; text-align: left; }
th, td { padding: .4rem .75rem; border-bottom: 1px solid var(--line); vertical-align: middle; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.class { font-weight: 600; max-width: 14rem; overflow-wrap: anywhere; }
td.share { width: 12rem; min-width: 7rem; } td.share div { display: flex; height: .6rem; }
.bar { background: var(--bar); } .bar.test { background: var(--test); }
td.examples { white-space: nowrap; } td.examples img { width: 2.5rem; height: 2.5rem;
  border-radius: .2rem; margin-right: .2rem; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem; align-items: start; }
"""
