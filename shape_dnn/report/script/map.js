// The map of the space: depth by width, coloured by any metric, on a canvas. A canvas of ten thousand tiles is drawn
// within milliseconds. Its colours are those of viridis, which anyone can tell apart and which keep their order in grey.

const VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"]
  .map((text) => [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16)));
const LOST = "lost by conversion"; // no name of a metric
const map = { metric: null, chosen: null, followed: true, printing: false };

function viridis(part) {
  const at = Math.min(Math.max(part, 0), 1) * (VIRIDIS.length - 1), low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return VIRIDIS[low].map((value, i) => Math.round(value + (at - low) * (VIRIDIS[low + 1][i] - value)));
}

const SHADES = Array.from({ length: 257 }, (_, i) => `rgb(${viridis(i / 256).join(",")})`);
const shade = (part) => SHADES[Math.round(256 * part)];

const isDark = () => !map.printing && matchMedia("(prefers-color-scheme: dark)").matches;

// From a value to its part of the scale, 1 being the best; logarithmic where values span more than a factor of 20.
function scaleOf() {
  const name = map.metric;
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    const value = shownOf(row);
    if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  const isLog = name !== quality.name && name !== LOST && low > 0 && high / low > 20;
  const place = isLog ? Math.log : (value) => value;
  const range = place(high) - place(low) || 1;
  const isMore = name === quality.name && quality.better === "higher";
  const part = (value) => (isMore ? (place(value) - place(low)) / range : (place(high) - place(value)) / range);
  return { low, high, part, isMore };
}

const shownOf = (row) => (map.metric === LOST ? row.lost ?? null : valueOf(row, map.metric) ?? null); // nothing may be known yet

function layMap() {
  const depths = [...new Set(rows.map((row) => row.depth))].sort((a, b) => b - a);
  const widths = [...new Map(rows.map((row) => [row.fraction, row.width]))].sort((a, b) => a[1] - b[1]).map(([text]) => text);
  map.depths = depths;
  map.widths = widths;
  const [down, right] = [new Map(depths.map((each, i) => [each, i])), new Map(widths.map((each, i) => [each, i]))];
  map.at = Array.from({ length: depths.length * widths.length }, () => null);
  for (const row of rows) {
    Object.assign(row, { down: down.get(row.depth), right: right.get(row.fraction) });
    map.at[row.down * widths.length + row.right] = row;
  }
}

function drawMap() {
  const canvas = $("map"), room = canvas.parentElement.clientWidth;
  const [columns, lines] = [map.widths.length, map.depths.length];
  const left = Math.max(34, 8 + 6.5 * String(map.depths[0]).length), below = 40;
  const wide = Math.min(96, (room - left - 2) / columns); // all of it is in view, however many there are
  const high = Math.min(34, Math.max(wide, 12), Math.max(460, Math.min(4 * lines, 4000)) / lines);
  Object.assign(map, { wide, high, left });
  const [width, height] = [Math.ceil(left + columns * wide + 2), Math.ceil(lines * high + below)];
  const usual = window.devicePixelRatio || 1; // sharper than that only where it costs no time
  const density = map.printing ? 4 : rows.length > MOST_POINTS ? usual : Math.max(2, usual);
  canvas.width = width * density;
  canvas.height = height * density;
  canvas.style.aspectRatio = `${width} / ${height}`;
  canvas.style.width = `${width}px`;
  const pen = canvas.getContext("2d");
  pen.scale(density, density);
  const ink = isDark() ? "236, 236, 236" : "24, 24, 27", ground = isDark() ? "#17181a" : "#ffffff";
  const scale = scaleOf();
  for (const row of rows) drawTile(pen, row, scale, ground, ink);
  pen.fillStyle = `rgba(${ink}, 0.8)`;
  pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  labels(pen, map.depths, high, 13, (i) => [left - 6, (i + 0.5) * high], "right");
  labels(pen, map.widths, wide, Math.max(26, ...map.widths.map((text) => pen.measureText(text).width + 6)), (i) => [left + (i + 0.5) * wide, lines * high + 12], "center");
  pen.textAlign = "right";
  pen.fillText("width →", left + columns * wide, lines * high + 32);
  pen.textAlign = "left";
  pen.fillText("↑ depth", 0, lines * high + 32);
  const best = rows.find((row) => row.best);
  if (best) drawStar(pen, best);
  if (map.chosen && document.activeElement === canvas) frame(pen, map.chosen, `rgb(${ink})`);
  else if (map.chosen && !map.chosen.best) frame(pen, map.chosen, `rgba(${ink}, 0.7)`);
  drawScale(scale);
}

function labels(pen, texts, size, least, where, align) {
  pen.textAlign = align;
  pen.textBaseline = "middle";
  const step = Math.ceil(least / size);
  texts.forEach((text, i) => i % step === 0 && pen.fillText(String(text), ...where(i)));
}

function drawTile(pen, row, scale, ground, ink) {
  const { wide, high, left } = map;
  const gap = Math.min(wide, high) > 9 ? 1.5 : Math.min(wide, high) > 5 ? 0.5 : 0;
  let [x, y, w, h] = [left + row.right * wide + gap / 2, row.down * high + gap / 2, wide - gap, high - gap];
  const value = shownOf(row);
  if (!row.complies) { // what a limit dropped is a small square in the middle
    const side = Math.max(1.5, Math.min(w, h) * 0.32);
    [x, y, w, h] = [x + (w - side) / 2, y + (h - side) / 2, side, side];
  }
  if (value === null) {
    pen.strokeStyle = `rgba(${ink}, 0.35)`;
    pen.lineWidth = 1;
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, w - 1), Math.max(1, h - 1));
  } else {
    pen.fillStyle = shade(scale.part(value));
    if (row.complies && Math.min(w, h) > 9) {
      pen.beginPath();
      pen.roundRect(x, y, w, h, 3);
      pen.fill();
    } else pen.fillRect(x, y, w, h);
    if (row.quality === null && row.complies && Math.min(w, h) > 6) hatch(pen, x, y, w, h, ground);
  }
  if (isLost(row) && Math.min(wide, high) > 6) {
    const [cx, cy, r] = [left + (row.right + 0.5) * wide, (row.down + 0.5) * high, Math.min(wide, high) * 0.25];
    pen.strokeStyle = `rgba(${ink}, 0.8)`;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(cx - r, cy - r);
    pen.lineTo(cx + r, cy + r);
    pen.moveTo(cx + r, cy - r);
    pen.lineTo(cx - r, cy + r);
    pen.stroke();
  }
}

// Lines over a tile that was not trained.
function hatch(pen, x, y, w, h, ground) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, w, h);
  pen.clip();
  pen.strokeStyle = ground;
  pen.globalAlpha = 0.5;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let from = x - h; from < x + w; from += 5) {
    pen.moveTo(from, y + h);
    pen.lineTo(from + h, y);
  }
  pen.stroke();
  pen.restore();
}

function frame(pen, row, color) {
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.strokeRect(map.left + row.right * map.wide, row.down * map.high, map.wide, map.high);
}

function drawStar(pen, row) {
  const [x, y] = [map.left + (row.right + 0.5) * map.wide, (row.down + 0.5) * map.high];
  const size = Math.max(7, Math.min(map.wide, map.high) * 0.36);
  pen.beginPath();
  for (let i = 0; i < 10; i++) {
    const angle = (i * Math.PI) / 5 - Math.PI / 2, r = i % 2 ? size * 0.42 : size;
    pen.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  pen.closePath();
  pen.fillStyle = "#ffffff";
  pen.strokeStyle = "#000000";
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.stroke();
  pen.fill();
}

function drawScale(scale) {
  const canvas = $("map-scale"), pen = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    const part = x / (canvas.width - 1);
    pen.fillStyle = `rgb(${viridis(scale.isMore ? part : 1 - part).join(",")})`;
    pen.fillRect(x, 0, 1, canvas.height);
  }
  const isQuality = map.metric === quality.name || map.metric === LOST;
  const write = (value) => (isQuality ? alone(value) : number(value, 3));
  const unit = isQuality ? quality.unit : unitOf(map.metric);
  const known = Number.isFinite(scale.low);
  $("map-low").textContent = known ? write(scale.low) : "";
  $("map-high").textContent = known ? `${write(scale.high)} ${unit}`.trim() : "";
}

function choose(row) {
  if (!row) return;
  [map.chosen, map.followed] = [row, false];
  showShape();
  drawMap();
}

// Everything that is known of the chosen shape.
function showShape() {
  const row = map.chosen;
  if (!row) return $("shape").replaceChildren();
  const entries = overview.metrics.map(({ name, unit }, i) => {
    const [value, low, high, status] = ["", "_low", "_high", "_status"].map((end) => row[`m${i}${end}`]);
    if (value === null) return [name, status];
    const range = (low ?? null) === null || low === high ? "" : ` (${number(low)} to ${number(high)})`;
    return [name, `${measured(name, value)} ${unit}`.trim() + range + (status === "ok" ? "" : `, ${status}`)];
  });
  for (const timing of overview.timings.filter((each) => !each.metric && (row[each.column] ?? null) !== null)) {
    entries.push([`latency, ${timing.title}`, `${number(row[timing.column])} ms`]);
  }
  if (row.quality !== null) entries.push([`trained ${quality.name}`, written(row.quality)]);
  if ((row.before ?? null) !== null) entries.push([`${quality.name} in float32`, written(row.before)]);
  if (row.tested !== null) entries.push([`test ${quality.name}`, written(row.tested)]);
  if (row.mean !== null) {
    const range = row.std === null ? "" : ` (95 %: ${alone(row.low)} to ${alone(row.high)})`;
    entries.push([`predicted ${quality.name}`, written(row.mean) + range]);
  }
  const missed = question.limits.filter((limit) => !allows(limit, valueOf(row, limit.metric)));
  const verdict = row.best ? "The best by the goal." : isLost(row) ? `Its training ${row.state === "failed" ? "failed" : "was stopped"}.`
    : row.complies ? (isSure(row) ? "Meets all limits." : "Likely meets all limits.")
    : `Misses the limit on ${missed.map((limit) => limit.metric).join(" and ")}.`;
  const about = [verdict, row.reason].filter(Boolean).join(" ");
  const list = element("dl", {}, ...entries.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
  $("shape").replaceChildren(element("h3", {}, `depth ${row.depth}, width ${row.fraction}`), element("p", {}, about), list);
}

function buildMap() {
  layMap();
  const known = overview.metrics.map((metric) => metric.name);
  const choices = [...(names.includes(quality.name) ? [quality.name] : []), ...known];
  if (rows.some((row) => (row.lost ?? null) !== null)) choices.push(LOST);
  if (!choices.includes(map.metric)) map.metric = choices[0];
  fill($("map-metric"), choices.map((name) => [name, name === LOST ? `${quality.name} lost by conversion` : headed(name)]), map.metric, (name) => {
    map.metric = name;
    drawMap();
  });
  map.chosen = map.chosen && (rows.find((row) => row.name === map.chosen.name) ?? null);
  const canvas = $("map");
  canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect(), factor = canvas.offsetWidth / (box.width || 1);
    const right = Math.floor(((event.clientX - box.left) * factor - map.left) / map.wide);
    const down = Math.floor(((event.clientY - box.top) * factor) / map.high);
    if (right >= 0 && right < map.widths.length && down >= 0 && down < map.depths.length) choose(map.at[down * map.widths.length + right]);
  };
  canvas.onkeydown = (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = map.chosen ?? rows[0];
    let [down, right] = [from.down, from.right], next = null;
    do [down, right] = [down + step[0], right + step[1]];
    while (down >= 0 && down < map.depths.length && right >= 0 && right < map.widths.length &&
           !(next = map.at[down * map.widths.length + right]));
    choose(next);
  };
  canvas.onfocus = canvas.onblur = drawMap;
}
