// The page, from the data beside it.

const report = JSON.parse(document.getElementById('data').textContent);
const {rows, metrics} = report;
const labelled = metrics.overall.n > 0;
const scored = rows.filter(row => row.score !== undefined && row.verdict !== 'invalid' && row.verdict !== 'unreadable');
const roc = rocPoints(rows);

const plural = (count, name) => `${count} ${name}${count === 1 ? '' : 's'}`;
const range = interval => (interval ? `95%: ${percent(interval[0])} to ${percent(interval[1])}` : '');

function headOf() {
  const objects = new Set(rows.map(row => row.object)).size;
  const {coverage, chosen_on: chosen, operating_point: point} = metrics;
  const parts = [plural(rows.length, 'image'), plural(objects, 'object')];
  if (labelled) parts.push('a defect is the positive class');
  if (coverage.labelled) parts.push(`answered ${coverage.answered} of ${coverage.labelled} labelled images, skipped ${coverage.skipped}, unreadable ${coverage.unreadable}`);
  const notes = [];
  if (coverage.skipped + coverage.unreadable > 0)
    notes.push(`The figures leave out ${coverage.skipped + coverage.unreadable} of ${coverage.labelled} labelled images: ${coverage.skipped} skipped, ${coverage.unreadable} unreadable.`);
  if (chosen) notes.push(`Checkpoint chosen on ${chosen.checkpoint}${chosen.same_data ? ': these metrics are of the same data and too good' : ''}.`);
  if (point) notes.push(`Verdicts by the score: a defect from ${number(point.threshold)} on, chosen on ${point.chosen_on}. On ${point.reported_on}: recall ${percent(point.recall)}%, false alarms ${percent(point.false_alarms)}%.`);
  return [
    el('h1', {}, report.title),
    el('p', {class: 'soft'}, parts.join('; ')),
    notes.map(note => el('p', {class: 'note'}, note)),
    report.about.length ? el('details', {class: 'about', open: innerWidth > 700}, el('summary', {}, 'Data and prompt'),
      el('dl', {}, report.about.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]))) : null,
  ];
}

function figure(name, value, note, interval, first) {
  return el('div', {class: first ? 'figure first' : 'figure'}, el('div', {class: 'name'}, name),
    el('div', {class: 'value'}, percent(value), value === null || value === undefined ? null : el('small', {}, ' %')),
    shareBar(value, interval), el('div', {class: 'soft'}, [note, range(interval)].filter(Boolean).join('; ')));
}

const countFigure = (name, count, note) => el('div', {class: 'figure'}, el('div', {class: 'name'}, name),
  el('div', {class: 'value'}, count), el('div', {class: 'soft'}, note));

function figuresOf() {
  const m = metrics.overall, ci = m.ci95 || {}, answers = metrics.answers;
  if (!labelled) {
    return el('div', {class: 'figures'}, countFigure('Images', rows.length, 'without labels'),
      countFigure('Called defect', answers.defect), countFigure('Called normal', answers.normal),
      countFigure('Invalid answers', answers.invalid), countFigure('Unreadable images', answers.unreadable), mapsFigure());
  }
  return el('div', {class: 'figures'},
    figure('Balanced accuracy', m.balanced_accuracy, 'mean of the next two; a constant answer reaches 50', ci.balanced_accuracy, true),
    figure('Recall', m.recall, `${m.tp} of ${m.n_defect} defects found`, ci.recall),
    figure('Specificity', m.specificity, `${m.tn} of ${m.n_normal} normals passed`, ci.specificity),
    figure('Accuracy', m.accuracy, `always “normal” would reach ${percent(metrics.baselines.always_normal.accuracy)}`, ci.accuracy),
    figure('F1, macro', m.f1_macro, `normal ${percent(m.f1_normal)}, defect ${percent(m.f1_defect)}`, ci.f1_macro),
    figure('AUROC', m.auroc, `of the score, without a threshold; ${m.scored} of ${m.n} answers have one`, ci.auroc),
    figure('Invalid answers', m.invalid_rate, `${m.invalid_defect + m.invalid_normal} of ${m.n} not in the asked format`),
    figure('Answered', ratio(metrics.coverage.answered, metrics.coverage.labelled),
      `${metrics.coverage.answered} of ${metrics.coverage.labelled} labelled images; ${metrics.coverage.skipped} skipped, ${metrics.coverage.unreadable} unreadable`),
    mapsFigure());
}

function mapsFigure() {
  const maps = metrics.maps;
  if (!maps) return null;
  const value = maps.deletion_ratio === null ? '–' : `${number(maps.deletion_ratio)} ×`;
  return el('div', {class: 'figure'}, el('div', {class: 'name'}, 'Maps'), el('div', {class: 'value'}, value),
    el('div', {class: 'soft'}, report.maps_note));
}

function confusionTable(threshold) {
  const counts = confusion(rows, threshold);
  const kindOf = (label, verdict) => (label === 'none' ? '' : label === verdict ? 'hit' : 'fault');
  const line = label => el('tr', {}, el('th', {scope: 'row'}, label === 'none' ? 'no label' : label),
    ['defect', 'normal', 'invalid'].map(verdict => el('td', {class: kindOf(label, verdict)}, counts[label][verdict])));
  return el('table', {class: 'matrix'},
    el('thead', {}, el('tr', {}, el('th', {}, 'label \\ answer'), ['defect', 'normal', 'invalid'].map(name => el('th', {scope: 'col'}, name)))),
    el('tbody', {}, ['defect', 'normal', 'none'].filter(label => counts[label].all).map(line)));
}

function shareList(threshold) {
  if (!labelled) return null;
  const counts = confusion(rows, threshold), s = shares(counts);
  const alarms = counts.normal.all - counts.normal.normal;
  const item = (name, value, interval) => [el('dt', {}, name), el('dd', {}, `${percent(value)}%`, interval ? el('small', {}, ` ${percent(interval[0])} to ${percent(interval[1])}`) : null)];
  return el('dl', {class: 'shares'},
    item('recall', s.recall, wilson(counts.defect.defect, counts.defect.all)),
    item('false alarms', s.falseAlarms, wilson(alarms, counts.normal.all)),
    item('precision', s.precision, wilson(counts.defect.defect, counts.defect.defect + counts.normal.defect)),
    item('balanced accuracy', s.balanced));
}

/** Histogram with slider, confusion, ROC, recall by type: all that a threshold changes, and who wants to know of it. */
class Threshold {
  constructor(changed) {
    this.changed = changed;
    this.value = null;
    const scores = scored.map(row => row.score);
    const probabilities = scores.every(score => score >= 0 && score <= 1);
    const spread = probabilities && scores.filter(score => score < 0.02 || score > 0.98).length > scores.length / 2;
    this.logOdds = el('input', {type: 'checkbox', onchange: () => this.setAxis()});
    this.logOdds.checked = spread;
    const slide = () => this.set(this.axis.from(this.slider.value / 1000));  // a click where it stands gives no input
    this.slider = el('input', {type: 'range', min: 0, max: 1000, 'aria-label': 'Threshold of the score', oninput: slide, onclick: slide});
    this.histogram = el('div', {class: 'histogram'});
    this.roc = el('div', {class: 'roc'});
    this.state = el('p', {class: 'state', role: 'status'});
    this.answer = el('div', {class: 'answer'});
    this.types = el('section', {id: 'types'});
    const preset = (name, value) => ({value, button: el('button', {type: 'button', onclick: () => this.set(value)}, name)});
    this.presets = [preset('As answered', null)];
    if (roc.length) for (const share of [0.01, 0.02, 0.05, 0.1]) this.presets.push(preset(`≤ ${percent(share, 0)}% false alarms`, thresholdWithin(roc, share)));
    this.element = el('section', {id: 'threshold'}, el('h2', {}, scored.length ? 'Threshold' : 'Answers'),
      scored.length ? this.chartOf(probabilities) : null, el('div', {class: 'sheet split'}, this.answer, roc.length ? el('div', {}, this.roc,
        rows.some(row => row.verdict === 'invalid') ? el('p', {class: 'soft'}, 'An invalid answer is wrong at every threshold.') : null) : null));
    this.setAxis();
  }

  chartOf(probabilities) {
    return el('div', {class: 'sheet'},
      el('div', {class: 'line'},
        labelled ? el('span', {class: 'legend'}, el('i', {class: 'defect'}), 'defects, upwards', el('i', {class: 'normal'}), 'normal images, downwards') : el('span', {class: 'legend'}, el('i', {class: 'none'}), 'images'),
        probabilities ? el('label', {}, this.logOdds, ' log-odds axis') : null),
      this.histogram, this.slider, el('p', {class: 'soft axis-name'}, 'score of “defect”; heights are square roots of counts'),
      el('div', {class: 'controls'}, this.presets.map(({button}) => button)),
      this.state);
  }

  setAxis() {
    this.axis = scoreAxis(scored.map(row => row.score), this.logOdds.checked);
    this.bins = binScores(scored, this.axis);
    this.set(this.value);
  }

  /** Draws once for all changes before the next frame. */
  set(value) {
    this.value = value;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
      this.changed(this.value);
    });
  }

  stateText() {
    if (this.value === null) return 'The verdicts as they were answered. Move the slider to judge by the score.';
    const note = labelled ? ' A threshold that is picked here is picked on the images that it is judged by: choose one on other images with lriad-eval --threshold-from.' : '';
    return `A defect from ${number(this.value)} on.${note}`;
  }

  draw() {
    const counts = confusion(rows, this.value);
    const at = this.value === null ? 0.5 : this.value;
    this.slider.value = Math.round(1000 * Math.min(1, Math.max(0, this.axis.to(at))));
    this.slider.setAttribute('aria-valuetext', this.value === null ? 'as answered' : number(this.value));
    this.state.textContent = this.stateText();
    for (const {value, button} of this.presets) button.setAttribute('aria-pressed', String(value === this.value));
    this.answer.replaceChildren(confusionTable(this.value), shareList(this.value) || '');
    if (scored.length) drawHistogram(this.histogram, this.bins, this.axis, this.value);
    if (roc.length) drawRoc(this.roc, roc, shares(counts));
    this.drawTypes();
  }

  drawTypes() {
    const types = defectTypes(rows, this.value);
    if (!types.length) return;
    types.sort((a, b) => a.found / a.n - b.found / b.n);
    const several = new Set(types.map(entry => entry.object)).size > 1;
    this.types.replaceChildren(el('h2', {}, 'Defects found, by type'),
      el('p', {class: 'soft'}, 'Worst first, at the threshold above; thin lines are 95% intervals.'),
      el('div', {class: 'sheet types'}, types.map(({object, type, n, found}) => [
        el('span', {}, several ? `${object}: ` : '', type || 'no type'), shareBar(found / n, wilson(found, n)),
        el('span', {class: 'soft'}, `${found} of ${n}, ${percent(found / n)}%`)])));
  }
}

const kColumns = [
  ['object', m => m.name], ['n', m => m.n], ['defects', m => m.n_defect], ['accuracy', m => m.accuracy], ['F1 macro', m => m.f1_macro],
  ['recall', m => m.recall], ['specificity', m => m.specificity], ['balanced', m => m.balanced_accuracy], ['precision', m => m.precision_defect],
  ['invalid', m => m.invalid_rate], ['scored', m => m.scored], ['AUROC', m => m.auroc],
  ...['0.01', '0.02', '0.05', '0.1'].map(share => [`recall@${percent(Number(share), 0)}%`, m => m.recall_at_false_alarms[share]]),
];
const isCount = name => ['n', 'defects', 'scored'].includes(name);

/** By object: click on a head to sort; the lines of all images stay below. */
function objectTable() {
  if (!labelled) return null;
  const named = Object.entries(metrics.objects).map(([name, m]) => ({name, ...m}));
  const cell = ([name, value], m) => {
    const v = value(m);
    return el('td', {}, name === 'object' ? v : isCount(name) ? v : percent(v));
  };
  const line = (m, kind) => el('tr', {class: kind}, kColumns.map(column => cell(column, m)));
  const body = el('tbody'), heads = [];
  const sort = (index, falling) => {
    const value = kColumns[index][1], sign = falling ? -1 : 1;
    const missing = v => v === null || v === undefined;
    const ordered = [...named].sort((a, b) => {
      const x = value(a), y = value(b);
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (typeof x === 'string' ? x.localeCompare(y) : x - y);
    });
    body.replaceChildren(...ordered.map(m => line(m)));
    heads.forEach((head, i) => head.setAttribute('aria-sort', i !== index ? 'none' : falling ? 'descending' : 'ascending'));
  };
  kColumns.forEach(([name], i) => heads.push(el('th', {scope: 'col'}, el('button', {type: 'button', onclick: () => {
    const now = heads[i].getAttribute('aria-sort');
    sort(i, i === 0 ? now === 'ascending' : now !== 'descending');
  }}, name))));
  sort(0, false);
  const foot = el('tfoot', {}, line({name: 'all images', ...metrics.overall}, 'total'), line({name: 'mean of objects', ...metrics.object_mean}, 'total'),
    line({name: 'always normal', ...metrics.baselines.always_normal}, 'soft'), line({name: 'always defect', ...metrics.baselines.always_defect}, 'soft'));
  return el('section', {id: 'objects'}, el('h2', {}, 'By object'),
    el('p', {class: 'soft'}, 'In percent, with the verdicts as answered; recall@1% is recall at 1% of false alarms. Click on a head to sort.'),
    el('div', {class: 'scroll', tabindex: 0}, el('table', {class: 'objects'}, el('thead', {}, el('tr', {}, heads)), body, foot)));
}

/** Curves of the training run. */
function curvesOf() {
  const names = Object.keys(report.curves);
  if (!names.length) return null;
  const charts = names.map(name => {
    const box = el('div', {class: 'curve'}), readout = el('span', {class: 'soft'});
    return {box, readout, name, element: el('div', {class: 'figure'}, el('div', {class: 'name'}, name), box, readout)};
  });
  const draw = () => charts.forEach(({box, readout, name}) => drawCurve(box, report.curves[name], readout));
  return {draw, element: el('section', {id: 'training'}, el('h2', {}, 'Training run'), el('div', {class: 'figures curves'}, charts.map(chart => chart.element)))};
}

const zoom = new Zoom(document.getElementById('zoom'));
const gallery = new Gallery(rows, zoom);
const threshold = new Threshold(value => gallery.update(value));
const curves = curvesOf();
const sections = [threshold.element, defectTypes(rows, null).length ? threshold.types : null, objectTable(), gallery.element, curves && curves.element,
  el('section', {id: 'settings'}, el('h2', {}, 'How it was made'), el('pre', {class: 'sheet'}, JSON.stringify(metrics.settings, null, 2)))];
const kNames = {threshold: scored.length ? 'Threshold' : 'Answers', types: 'Defect types', objects: 'Objects', images: 'Images', training: 'Training run', settings: 'Settings'};
document.getElementById('page').replaceChildren(...[
  headOf(), el('nav', {class: 'jump', 'aria-label': 'Sections'}, sections.filter(Boolean).map(section => el('a', {href: `#${section.id}`}, kNames[section.id]))),
  figuresOf(), sections,
  el('p', {class: 'soft'}, el('b', {}, 'Keys: '), '← → pages, or images at large · m map · / search · Esc close'),
].flat(Infinity).filter(Boolean));

const redraw = () => {
  threshold.draw();
  if (curves) curves.draw();
};
threshold.draw();
gallery.update(threshold.value);
if (curves) curves.draw();
let width = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === width) return;
  width = innerWidth;
  redraw();
});
addEventListener('keydown', event => {
  const writing = event.target.matches('input, select, textarea');
  if (event.ctrlKey || event.metaKey || event.altKey || (writing && event.key !== 'Escape')) return;
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (zoom.dialog.open) {
    if (step) zoom.move(step);
    else if (event.key === 'm') zoom.toggleMap();
    else return;
  } else if (step) gallery.turn(gallery.page + step);
  else if (event.key === '/') gallery.words.focus();
  else return;
  event.preventDefault();
});
