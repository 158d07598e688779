// The images: filters, order, pages, and one of them at large.

const kPerPage = 24;
const kTiny = 128;  // pixels; smaller images are drawn without smoothing
const kTags = {missed: 'missed defect', alarm: 'false alarm', invalid: 'invalid', unreadable: 'unreadable', right: 'right', plain: 'no label'};
const kFilters = [
  ['all', 'All', () => true],
  ['wrong', 'Wrong', (outcome) => outcome === 'missed' || outcome === 'alarm' || outcome === 'invalid'],
  ['missed', 'Missed defects', (outcome) => outcome === 'missed'],
  ['alarm', 'False alarms', (outcome) => outcome === 'alarm'],
  ['invalid', 'Invalid', (outcome) => outcome === 'invalid'],
  ['unreadable', 'Unreadable', (outcome) => outcome === 'unreadable'],
  ['right', 'Right', (outcome) => outcome === 'right'],
  ['defect', 'Called defect', (outcome, verdict) => verdict === 'defect'],
  ['normal', 'Called normal', (outcome, verdict) => verdict === 'normal'],
];
const kOutcomeRank = {missed: 0, alarm: 0, invalid: 1, unreadable: 2, right: 3, plain: 3};
const byScore = (sign) => (a, b) => {
  if (a.row.score === undefined || b.row.score === undefined) return (a.row.score === undefined) - (b.row.score === undefined);
  return sign * (a.row.score - b.row.score);
};
// Mistakes that the model was surest of come first; of the right answers those that it was least sure of.
const kOrders = [
  ['mistakes', 'surest mistakes first', (a, b) => kOutcomeRank[a.outcome] - kOutcomeRank[b.outcome] ||
    (kOutcomeRank[a.outcome] === 3 ? a.confidence - b.confidence : b.confidence - a.confidence)],
  ['high', 'highest score first', byScore(-1)],
  ['low', 'lowest score first', byScore(1)],
  ['data', 'order of the data', () => 0],
];

/** What stands between the thinking tags, else the whole text. */
function reasoning(row) {
  const inner = /<think>([\s\S]*?)<\/think>/.exec(row.text);
  return (row.verdict === 'unreadable' ? row.error : inner && row.verdict !== 'invalid' ? inner[1] : row.text).trim();
}

function labelText(row) {
  if (row.label === undefined) return 'none';
  return row.label === 'defect' && row.type ? `defect (${row.type})` : row.label;
}

const scoreText = row => (row.score === undefined ? '–' : row.score.toFixed(3));

function thumbnailOf(row) {
  if (!row.thumbnail) return el('span', {class: 'nothing'}, row.verdict === 'unreadable' ? 'image not readable' : 'no image');
  return el('img', {src: row.thumbnail, alt: row.image, decoding: 'async', onload: event => {
    if (Math.max(event.target.naturalWidth, event.target.naturalHeight) <= kTiny) event.target.classList.add('tiny');
  }});
}

function cardOf(shown, open) {
  const {row, outcome, verdict} = shown;
  return el('button', {type: 'button', class: `card ${outcome}`, onclick: open},
    el('span', {class: 'image'}, thumbnailOf(row)),
    el('span', {class: 'text'},
      el('span', {class: 'top'}, el('span', {class: 'object'}, row.object), el('span', {class: 'tag'}, kTags[outcome])),
      el('span', {class: 'facts'}, `answer ${verdict}${row.cut ? ' (cut off)' : ''} · label ${labelText(row)} · score ${scoreText(row)}`),
      el('span', {class: 'words'}, reasoning(row).slice(0, 400)),
      el('span', {class: 'file'}, row.image)));
}

/** The dialog with one image, its map and its whole answer; next(step) moves on among the images shown. */
class Zoom {
  constructor(dialog) {
    this.dialog = dialog;
    this.map = true;
    this.strength = 60;
    dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
  }

  show(list, at) {
    this.list = list;
    this.at = at;
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
  }

  move(step) {
    const to = this.at + step;
    if (to >= 0 && to < this.list.length) this.show(this.list, to);
  }

  toggleMap() {
    this.map = !this.map;
    this.draw();
  }

  stage(row) {
    const overlay = row.map ? el('img', {src: row.map, class: 'map', alt: 'where the model looked', hidden: !this.map,
      style: `opacity:${this.strength / 100}`}) : null;
    const stage = el('div', {class: 'stage'}, el('div', {class: 'layers'}, thumbnailOf(row), overlay));
    stage.addEventListener('click', event => {
      const area = stage.getBoundingClientRect();
      stage.firstChild.style.transformOrigin = `${event.clientX - area.left}px ${event.clientY - area.top}px`;
      stage.firstChild.classList.toggle('near');
    });
    return stage;
  }

  mapControls(row) {
    if (!row.map) return null;
    const strength = el('input', {type: 'range', min: 10, max: 100, value: this.strength, 'aria-label': 'Strength of the map',
      oninput: event => {
        this.strength = Number(event.target.value);
        this.dialog.querySelector('.map').style.opacity = this.strength / 100;
      }});
    return el('div', {class: 'controls'},
      el('button', {type: 'button', 'aria-pressed': String(this.map), onclick: () => this.toggleMap()}, 'Map (m)'), strength);
  }

  draw() {
    const {row, outcome, verdict} = this.list[this.at];
    const fact = (name, value) => [el('dt', {}, name), el('dd', {}, value)];
    const step = (name, by, text) => el('button', {type: 'button', 'aria-label': name, onclick: () => this.move(by)}, text);
    this.dialog.replaceChildren(
      this.stage(row),
      el('div', {class: `about ${outcome}`},
        el('div', {class: 'controls'}, step('Previous image', -1, '←'), step('Next image', 1, '→'),
          el('span', {class: 'soft'}, `${this.at + 1} of ${this.list.length}`),
          el('button', {type: 'button', class: 'close', 'aria-label': 'Close', onclick: () => this.dialog.close()}, '✕')),
        el('div', {class: 'top'}, el('span', {class: 'object'}, row.object), el('span', {class: 'tag'}, kTags[outcome])),
        el('dl', {}, fact('answer', verdict + (row.cut ? ' (cut off)' : '')), fact('label', labelText(row)), fact('score', scoreText(row)),
          fact('image', row.file ? el('a', {href: row.file, target: '_blank', rel: 'noopener'}, row.image) : row.image)),
        row.references ? el('div', {class: 'references'}, el('p', {class: 'soft'}, 'normal images that it was shown with'),
          row.references.map(url => el('img', {src: url, alt: 'normal image', decoding: 'async'}))) : null,
        this.mapControls(row), row.map_note ? el('p', {class: 'soft'}, row.map_note) : null,
        el('blockquote', {}, row.verdict === 'unreadable' ? row.error : row.text || 'no text')));
  }
}

/** The section of images. update(threshold) judges them anew. */
class Gallery {
  constructor(rows, zoom) {
    this.zoom = zoom;
    this.shown = rows.map(row => ({row, verdict: '', outcome: '', confidence: 0}));
    this.kind = 'all';
    this.page = 0;
    this.buttons = new Map(kFilters.map(([kind, name]) => [kind,
      el('button', {type: 'button', 'data-kind': kind, onclick: () => this.choose(kind)}, name)]));
    const objects = [...new Set(rows.map(row => row.object))].sort();
    this.object = el('select', {'aria-label': 'Object', onchange: () => this.filter()},
      el('option', {value: ''}, 'all objects'), objects.map(name => el('option', {value: name}, name)));
    this.order = el('select', {'aria-label': 'Order', onchange: () => this.filter()}, kOrders.map(([key, name]) => el('option', {value: key}, name)));
    if (rows.every(row => row.label === undefined)) this.order.value = 'high';
    this.words = el('input', {type: 'search', placeholder: 'words in the answer', 'aria-label': 'Words', oninput: () => this.filter()});
    this.count = el('p', {class: 'soft', role: 'status'});
    this.grid = el('div', {class: 'gallery'});
    this.pagers = [this.pager(), this.pager()];
    this.element = el('section', {id: 'images'}, el('h2', {}, 'Images'),
      el('div', {class: 'filters'}, [...this.buttons.values()], objects.length > 1 ? this.object : null, this.order, this.words),
      el('div', {class: 'line'}, this.count, this.pagers[0].element), this.grid, this.pagers[1].element);
  }

  pager() {
    const turn = (name, text, step) => el('button', {type: 'button', 'aria-label': name, onclick: () => this.turn(this.page + step)}, text);
    const input = el('input', {type: 'number', min: 1, 'aria-label': 'Page', onchange: event => this.turn(Number(event.target.value) - 1)});
    const total = el('span', {class: 'soft'});
    const element = el('nav', {class: 'pager', 'aria-label': 'Pages'}, turn('Previous page', '‹', -1), input, total, turn('Next page', '›', 1));
    return {element, input, total};
  }

  update(threshold) {
    const counts = Object.fromEntries(kFilters.map(([kind]) => [kind, 0]));
    for (const entry of this.shown) {
      entry.verdict = verdictAt(entry.row, threshold);
      entry.outcome = outcomeAt(entry.row, threshold);
      entry.confidence = confidence(entry.row, entry.verdict);
      for (const [kind, , matches] of kFilters) if (matches(entry.outcome, entry.verdict)) ++counts[kind];
    }
    for (const [kind, name] of kFilters) {
      const button = this.buttons.get(kind);
      button.textContent = `${name} ${counts[kind]}`;
      button.hidden = counts[kind] === 0 && kind !== this.kind;
    }
    this.filter();
  }

  choose(kind) {
    this.kind = kind;
    this.filter();
  }

  filter() {
    for (const [kind, button] of this.buttons) button.setAttribute('aria-pressed', String(kind === this.kind));
    const matches = kFilters.find(([kind]) => kind === this.kind)[2];
    const words = this.words.value.trim().toLowerCase();
    const holds = row => (row.search ||= [row.text, row.error, row.image, row.object, row.type].join('\n').toLowerCase()).includes(words);
    this.list = this.shown.filter(entry => matches(entry.outcome, entry.verdict) &&
      (!this.object.value || entry.row.object === this.object.value) && (!words || holds(entry.row)));
    this.list.sort(kOrders.find(([key]) => key === this.order.value)[2]);
    this.turn(0);
  }

  turn(page) {
    const pages = Math.max(1, Math.ceil(this.list.length / kPerPage));
    this.page = Math.min(pages - 1, Math.max(0, Number.isFinite(page) ? Math.floor(page) : 0));
    const first = this.page * kPerPage;
    const cards = this.list.slice(first, first + kPerPage).map((entry, i) => cardOf(entry, () => this.zoom.show(this.list, first + i)));
    this.grid.replaceChildren(...cards);
    this.count.textContent = cards.length ? `${first + 1} to ${first + cards.length} of ${this.list.length}` : 'no image is like that';
    for (const {element, input, total} of this.pagers) {
      element.hidden = pages === 1;
      input.value = this.page + 1;
      input.max = pages;
      total.textContent = `of ${pages}`;
      element.firstChild.disabled = this.page === 0;
      element.lastChild.disabled = this.page === pages - 1;
    }
  }
}
