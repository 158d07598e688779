#include "report_page.h"

namespace lriad {

const char* const kReportStyle = R"css(
:root { color-scheme: light dark; --ground: #f6f7f9; --sheet: #fff; --ink: #16202b; --soft: #5b6775; --line: #dfe4ea;
  --accent: #2563eb; --good: #15803d; --bad: #c62828; --warn: #b45309; --track: #e8ecf1; --well: #eef1f5; }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1419; --sheet: #181f27; --ink: #e6ebf0; --soft: #96a3b1;
  --line: #2a343f; --accent: #6ea8fe; --good: #4ade80; --bad: #f87171; --warn: #fbbf24; --track: #28323d; --well: #11171d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  sans-serif; }
main { max-width: 1360px; margin: 0 auto; padding: 28px clamp(14px, 3vw, 40px) 60px; }
h1 { font-size: clamp(22px, 3vw, 30px); line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 38px 0 12px; }
.lead { color: var(--soft); margin: 0 0 22px; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; }
@media (max-width: 900px) { .figures { grid-template-columns: 1fr 1fr; }
  .figure.first, .figure.matrix { grid-column: 1 / -1; } }
.figure { background: var(--sheet); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.figure .name { color: var(--soft); font-size: 13px; }
.figure .value { font-size: 30px; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.figure .value small { font-size: 16px; font-weight: 500; color: var(--soft); }
.figure .note { color: var(--soft); font-size: 12.5px; }
.bar { position: relative; height: 6px; border-radius: 3px; background: var(--track); margin: 6px 0 8px; }
.bar i { position: absolute; left: 0; top: 0; bottom: 0; border-radius: 3px; background: var(--accent); }
.bar b { position: absolute; top: 2px; height: 2px; background: var(--ink); opacity: .55; }
.scroll { overflow-x: auto; background: var(--sheet); border: 1px solid var(--line); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--sheet); }
th { color: var(--soft); font-weight: 500; font-size: 13px; }
tbody tr:last-child td { border-bottom: 0; }
tr.total td { font-weight: 650; }
tr.aside td { color: var(--soft); }
.matrix { padding: 6px 4px; display: flex; align-items: center; }
.matrix th, .matrix td, .matrix th:first-child, .matrix td:first-child { padding: 5px 8px; position: static; }
.matrix .hit { color: var(--good); font-weight: 650; }
.matrix .fault { color: var(--bad); font-weight: 650; }
.filters { display: flex; flex-wrap: wrap; gap: 8px; padding: 10px 0; background: var(--ground); }
@media (min-width: 700px) { .filters { position: sticky; top: 0; z-index: 2; } }
.filters button, .filters select, .filters input { font: inherit; font-size: 14px; color: inherit; background: var(--sheet);
  border: 1px solid var(--line); border-radius: 999px; padding: 6px 14px; }
.filters select { max-width: 100%; }
.filters input { flex: 1 1 150px; min-width: 0; }
.filters button { cursor: pointer; }
.filters button[aria-pressed=true] { background: var(--ink); color: var(--ground); border-color: var(--ink); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(270px, 100%), 1fr)); gap: 14px; }
.card { background: var(--sheet); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; display: flex;
  flex-direction: column; content-visibility: auto; contain-intrinsic-size: auto 430px; }
.card[hidden] { display: none; }
.card .image { display: flex; align-items: center; justify-content: center; height: 220px; background: var(--well);
  color: var(--soft); font-size: 13px; text-decoration: none; }
.card img { width: 100%; height: 100%; object-fit: contain; }
.card img.tiny { image-rendering: pixelated; padding: 10px; }
.card .text { padding: 12px 14px 14px; display: flex; flex-direction: column; gap: 8px; flex: 1; }
.card .top { display: flex; align-items: baseline; justify-content: space-between; gap: 8px; }
.card .object { font-weight: 650; overflow-wrap: anywhere; }
.tag { font-size: 12px; font-weight: 650; border-radius: 999px; padding: 2px 10px; white-space: nowrap;
  border: 1px solid currentColor; }
.right .tag { color: var(--good); } .missed .tag, .alarm .tag { color: var(--bad); } 
.invalid .tag, .unreadable .tag { color: var(--warn); }
.plain .tag { color: var(--soft); }
.card dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 12px; margin: 0; font-size: 13.5px; }
.card dt { color: var(--soft); } .card dd { margin: 0; overflow-wrap: anywhere; }
.card blockquote { margin: 0; padding: 8px 10px; background: var(--well); border-radius: 8px; font-size: 13.5px;
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 168px; overflow-y: auto; }
.card .file { color: var(--soft); font-size: 12px; overflow-wrap: anywhere; margin-top: auto; }
details { background: var(--sheet); border: 1px solid var(--line); border-radius: 12px; padding: 10px 16px; margin-top: 38px; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; font-size: 12.5px; white-space: pre-wrap; overflow-wrap: anywhere; }
.empty { color: var(--soft); padding: 24px 0; }
)css";

const char* const kReportScript = R"js(
(() => {
  const cards = [...document.querySelectorAll('.card')];
  const buttons = [...document.querySelectorAll('.filters button')];
  const object = document.getElementById('object');
  const words = document.getElementById('words');
  const count = document.getElementById('count');
  let kind = 'all';
  const shows = (card, wanted) => wanted === 'all' || card.dataset.kind === wanted ||
    (wanted === 'wrong' && ['missed', 'alarm'].includes(card.dataset.kind));
  const apply = () => {
    const text = words.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const visible = shows(card, kind) && (!object.value || card.dataset.object === object.value) &&
        (!text || card.textContent.toLowerCase().includes(text));
      card.hidden = !visible;
      shown += visible ? 1 : 0;
    }
    count.textContent = shown === cards.length ? '' : shown + ' of ' + cards.length + ' shown';
  };
  for (const button of buttons) {
    button.addEventListener('click', () => {
      kind = button.dataset.kind;
      for (const other of buttons) other.setAttribute('aria-pressed', other === button);
      apply();
    });
  }
  object.addEventListener('change', apply);
  words.addEventListener('input', apply);
})();
)js";

}  // namespace lriad
