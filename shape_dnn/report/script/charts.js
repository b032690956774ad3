// Charts by Vega, each drawn when it comes into view. Vega interprets its expressions instead of compiling them, which
// the content security policy forbids; it is read only when the answer is there already.

const MOST_POINTS = 1500; // in one chart: more would lie on each other, and cost time at every move of a slider
const views = new Map();
let readVega = null;

function vega() {
  readVega ??= new Promise((done) => {
    document.head.append(element("script", {}, $("library").textContent));
    done(window.vegaEmbed);
  });
  return readVega;
}

function tooltip(value) {
  const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const row = value && typeof value === "object" ? value : {};
  const beside = overview.timings.filter((timing) => !timing.metric && (row[timing.column] ?? null) !== null);
  const about = row.state === undefined ? [] : [
    describe(row),
    ...beside.map((timing) => `latency, ${timing.title}: ${number(row[timing.column])} ms`),
    row.reason ? `${row.state}: ${row.reason}` : row.state,
  ];
  if (row.epoch !== undefined) {
    about.push(`epoch ${row.epoch}, ${quality.name} ${number(row.quality)} ${quality.unit}`.trim() +
      (row.loss === null ? "" : `, loss ${number(row.loss)}`));
  }
  return [`<b>${escape(row.name ?? "")}</b>`, ...about.map(escape)].join("<br>");
}

// The rows that charts show: all, or else those that matter and others, each thinned evenly where they are too many.
function drawn() {
  if (rows.length <= MOST_POINTS) return rows.map((row) => ({ ...row }));
  const thinned = (all, most) => all.length <= most ? all : Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]);
  const isKept = (row) => row.best || row.on_front;
  const kept = thinned(rows.filter(isKept), MOST_POINTS - 1);
  if (!kept.some((row) => row.best)) kept.push(...rows.filter((row) => row.best));
  const first = rows.filter((row) => !isKept(row) && row.quality !== null);
  const others = rows.filter((row) => !isKept(row) && row.quality === null);
  const room = MOST_POINTS - kept.length;
  const shown = thinned(first, Math.min(room, Math.max(MOST_POINTS / 2, room - others.length)));
  return [...kept, ...shown, ...thinned(others, room - shown.length)].map((row) => ({ ...row }));
}

async function draw(id, spec, more = {}) {
  const embed = await vega();
  const place = $(id);
  if (!place) return;
  views.get(id)?.view.finalize();
  stale.delete(id);
  // As many small charts beside each other as there is room for.
  const small = spec.facet ? { columns: Math.max(1, Math.floor(place.clientWidth / 225)) } : {};
  const whole = { ...spec, ...small, datasets: { shapes: drawn(), curves: overview.curves, ...more } };
  // Errors are told, but no warnings: that nothing lies on a front is none to the viewer.
  const options = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false, logLevel: 1,
                    tooltip: { disableDefaultStyle: true, formatTooltip: tooltip } };
  const { view } = await embed(place, whole, options);
  views.set(id, { view, place });
  place.querySelector("svg").setAttribute("aria-hidden", "true"); // the element around it is described
}

const drawFront = () => draw("front", fronts[question.front.slice(0, 2).join(" ")]);

// Two latencies: which shapes change their order, and with which others.
function drawOrder() {
  const { spec, text, pairs, moved } = orders[question.order.join(" ")];
  const columns = question.order.map((place) => overview.timings[place].column);
  const changing = new Set(moved);
  rows.forEach((row, i) => (row.order = changing.has(i) ? "changes" : "keeps"));
  const lines = pairs.map(([i, j]) => Object.fromEntries([
    ["name", `${rows[i].name} and ${rows[j].name} change their order`],
    ...columns.flatMap((name) => [[name, rows[i][name]], [`${name}2`, rows[j][name]]]),
  ]));
  $("order-text").textContent = text;
  return draw("order", spec, { pairs: lines });
}

function drawChart(id) {
  if (id === "front") return drawFront();
  if (id === "order") return drawOrder();
  return draw(id, charts.find((chart) => chart.id === id).spec);
}

const near = new Set(), begun = new Set(), stale = new Set(); // charts in view or nearly so; begun; of a former question

// What complies is shown anew by the charts that show it, as soon as they are in view.
function redraw() {
  for (const { id, live } of charts) if (live && views.has(id)) stale.add(id);
  renewCharts();
}

function renewCharts(shown = near) {
  for (const id of stale) {
    if (!shown.has(id)) continue;
    stale.delete(id);
    views.get(id).view.data("shapes", drawn()).runAsync();
  }
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target: { id }, isIntersecting } of entries) {
    if (!isIntersecting) near.delete(id);
    else near.add(id);
    if (!isIntersecting || begun.has(id)) continue;
    begun.add(id);
    drawChart(id);
  }
  renewCharts();
}, { rootMargin: "400px" });

function buildCharts() {
  for (const [id, { place, view }] of views) {
    if ($(id) === place) continue;
    view.finalize(); // its part of the page was replaced
    views.delete(id);
    stale.delete(id);
  }
  if (names.length > 1 && $("front")) buildFront();
  if (question.order.length && $("order")) {
    axes("order", overview.timings.map(({ title }, i) => [String(i), title]), question.order, drawOrder);
    $("order-text").textContent = orders[question.order.join(" ")].text;
  }
  watcher.disconnect();
  near.clear();
  begun.clear();
  begun.add("front"); // which is drawn at once
  for (const { id } of charts) watcher.observe($(id));
}
