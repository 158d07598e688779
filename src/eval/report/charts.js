// Elements and charts. Every text is set as text, never as markup.

const clean = text => String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '\ufffd');
const percent = (share, digits = 1) => (share === null || share === undefined ? '–' : (100 * share).toFixed(digits));
const number = (value, digits = 4) => (value === null || value === undefined ? '–' : String(Number(value.toPrecision(digits))));

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === '') continue;
    element.append(child instanceof Node ? child : clean(child));
  }
  return element;
}
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

const logit = p => Math.log(p / (1 - p));
const kEdge = 1e-6;  // the log-odds axis ends at this probability and at 1 minus it, or nearer where the scores do

/** Where a score stands on the axis, 0..1, and back. The log-odds axis spreads the probabilities near 0 and 1. */
function scoreAxis(scores, logOdds) {
  if (logOdds) {
    const logOddsOf = score => logit(Math.min(1 - kEdge, Math.max(kEdge, score)));
    const end = scores.reduce((most, score) => Math.max(most, Math.abs(logOddsOf(score)) + 0.2), 2.5);
    const to = score => Math.min(1, Math.max(0, (logOddsOf(score) + end) / (2 * end)));
    const from = at => 1 / (1 + Math.exp(end - at * 2 * end));
    return {to, from, ticks: [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999].filter(tick => Math.abs(logit(tick)) < end)};
  }
  let low = 0, high = 1;
  for (const score of scores) {
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(part => low + part * (high - low));
  return {to: score => (score - low) / (high - low), from: at => low + at * (high - low), ticks};
}

const kBins = 50;

/** Rows with a score in bins along the axis: [{defect, normal, none}]. */
function binScores(rows, axis) {
  const bins = Array.from({length: kBins}, () => ({defect: 0, normal: 0, none: 0}));
  for (const row of rows) {
    const bin = Math.min(kBins - 1, Math.max(0, Math.floor(axis.to(row.score) * kBins)));
    ++bins[bin][row.label || 'none'];
  }
  return bins;
}

/** Defects upwards, all other images downwards; the area of what is called normal is dimmed. */
function drawHistogram(box, bins, axis, threshold) {
  const width = Math.max(240, box.clientWidth), height = 210, top = 14, bottom = 24;
  const most = Math.max(1, ...bins.map(bin => Math.max(bin.defect, bin.normal + bin.none)));
  const middle = top + (height - top - bottom) / 2, half = middle - top;
  const size = count => half * Math.sqrt(count / most);
  const step = width / kBins;
  const chart = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'Histogram of the scores'});
  bins.forEach((bin, i) => {
    const at = {x: (i * step + 0.5).toFixed(1), width: Math.max(1, step - 1).toFixed(1)};
    const title = () => svg('title', {}, `score ${number(axis.from(i / kBins))} to ${number(axis.from((i + 1) / kBins))}: ` +
      (bin.none ? `${bin.none} images` : `${bin.defect} defects, ${bin.normal} normal`));
    if (bin.defect) chart.append(svg('rect', {...at, class: 'defect', y: middle - size(bin.defect), height: size(bin.defect)}, title()));
    const below = bin.normal + bin.none;
    if (below) chart.append(svg('rect', {...at, class: bin.none ? 'none' : 'normal', y: middle, height: size(below)}, title()));
  });
  chart.append(svg('line', {class: 'axis', x1: 0, x2: width, y1: middle, y2: middle}));
  for (const tick of axis.ticks) {
    const x = axis.to(tick) * width;
    const anchor = x < 10 ? 'start' : x > width - 10 ? 'end' : 'middle';
    chart.append(svg('text', {x, y: height - 6, 'text-anchor': anchor}, number(tick)));
  }
  if (threshold !== null) {
    const x = Math.min(width - 1, Math.max(1, axis.to(threshold) * width));
    chart.append(svg('rect', {class: 'dim', x: 0, y: top, width: x, height: height - top - bottom}));
    chart.append(svg('line', {class: 'threshold', x1: x, x2: x, y1: 4, y2: height - bottom}));
  }
  box.replaceChildren(chart);
}

/** Recall over false alarms; the square-root axis gives room to the few false alarms that a plant can bear. */
function drawRoc(box, points, present) {
  const width = Math.max(220, Math.min(420, box.clientWidth)), height = 230, left = 34, bottom = 34, top = 8, right = 8;
  const x = share => left + Math.sqrt(share) * (width - left - right);
  const y = share => height - bottom - share * (height - top - bottom);
  const chart = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'ROC curve'});
  for (const share of [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]) {
    chart.append(svg('line', {class: 'grid', x1: x(share), x2: x(share), y1: top, y2: height - bottom}));
    chart.append(svg('text', {x: x(share), y: height - bottom + 14, 'text-anchor': share === 1 ? 'end' : 'middle'}, percent(share, 0)));
  }
  for (const share of [0, 0.5, 1]) {
    chart.append(svg('line', {class: 'grid', x1: left, x2: width - right, y1: y(share), y2: y(share)}));
    chart.append(svg('text', {x: left - 6, y: y(share) + 4, 'text-anchor': 'end'}, percent(share, 0)));
  }
  chart.append(svg('text', {x: (left + width) / 2, y: height - 4, 'text-anchor': 'middle'}, 'false alarms, % (square-root axis)'));
  chart.append(svg('text', {x: left + 6, y: top + 12}, 'recall, %'));
  const chance = Array.from({length: 41}, (_, i) => `${x((i / 40) ** 2)},${y((i / 40) ** 2)}`);
  chart.append(svg('polyline', {class: 'chance', points: chance.join(' ')}));
  const line = points.map(point => `${x(point.falseAlarms).toFixed(1)},${y(point.recall).toFixed(1)}`);
  chart.append(svg('polyline', {class: 'curve', points: line.join(' ')}));
  if (present.recall !== null && present.falseAlarms !== null) {
    const about = `recall ${percent(present.recall)}%, false alarms ${percent(present.falseAlarms)}%`;
    chart.append(svg('circle', {class: 'present', cx: x(present.falseAlarms), cy: y(present.recall), r: 5}, svg('title', {}, about)));
  }
  box.replaceChildren(chart);
}

/** One figure of the training run over its steps: points are [step, value]. */
function drawCurve(box, points, readout) {
  const width = Math.max(200, box.clientWidth), height = 96, pad = 6;
  const steps = points.map(point => point[0]), values = points.map(point => point[1]);
  const low = Math.min(...values), high = Math.max(...values), first = steps[0], last = steps[steps.length - 1];
  const x = step => pad + (last > first ? (step - first) / (last - first) : 0.5) * (width - 2 * pad);
  const y = value => height - pad - (high > low ? (value - low) / (high - low) : 0.5) * (height - 2 * pad);
  const chart = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'Curve over the steps'});
  chart.append(svg('polyline', {class: 'curve', points: points.map(point => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(' ')}));
  const mark = svg('circle', {class: 'present', r: points.length > 1 ? 3 : 4, cx: x(last), cy: y(values[values.length - 1])});
  chart.append(mark);
  const show = i => {
    mark.setAttribute('cx', x(steps[i]));
    mark.setAttribute('cy', y(values[i]));
    readout.textContent = `${number(values[i], 3)} at step ${Math.round(steps[i])}; ${number(low, 3)} to ${number(high, 3)}`;
  };
  chart.addEventListener('pointermove', event => {
    const at = event.clientX - chart.getBoundingClientRect().left;
    let nearest = 0;
    steps.forEach((step, i) => { if (Math.abs(x(step) - at) < Math.abs(x(steps[nearest]) - at)) nearest = i; });
    show(nearest);
  });
  chart.addEventListener('pointerleave', () => show(points.length - 1));
  show(points.length - 1);
  box.replaceChildren(chart);
}

/** A bar of a share with its interval. */
function shareBar(share, interval) {
  const bar = el('div', {class: 'bar'});
  if (share !== null && share !== undefined) bar.append(el('i', {style: `width:${100 * share}%`}));
  if (interval) bar.append(el('b', {style: `left:${100 * interval[0]}%;width:${100 * (interval[1] - interval[0])}%`}));
  return bar;
}
