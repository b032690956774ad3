// Studies beside each other: a row for each, and their fronts over each other.
const $ = (id) => document.getElementById(id);
// Colours that people tell apart however they see them (Okabe and Ito 2008).
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"];
const chosen = { x: null, y: null }, asked = new Set(); // axes; those that the viewer chose
let studies = [], view = null;

function made(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// A comma after every three digits before the point.
const grouped = (value) => String(value).replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
const number = (value) => (value === null || value === undefined ? "–" : grouped(Number(value.toPrecision(4))));

// A metric is called by its name and unit: what is in other units is another one.
const heading = ({ name, unit }) => (unit ? `${name} [${unit}]` : name);
const nameIn = (study, title) => study.metrics.find((metric) => heading(metric) === title)?.name;

// The headings of all metrics, and last those of what studies are judged by.
function metrics() {
  const judged = studies.map((study) => heading(study.metrics.at(-1)));
  const others = studies.flatMap((study) => study.metrics.slice(0, -1).map(heading));
  return [...new Set([...others.filter((title) => !judged.includes(title)), ...judged])];
}

const valueOf = (study, point, title) => point[nameIn(study, title)] ?? null;

function showTable() {
  const found = metrics();
  const heads = ["study", "state", "answer", "trained", "doubt", ...found];
  $("several-head").replaceChildren(...heads.map((text) => made("th", { scope: "col" }, text)));
  const focused = document.activeElement?.dataset?.study;
  $("several-rows").replaceChildren(...studies.map((study) => {
    const link = made("a", { href: `study/${study.id}/`, "data-study": study.id }, study.name);
    const cells = [study.state === "none" ? "no journal" : study.state, study.answer, `${grouped(study.trained)} of ${grouped(study.shapes)}`,
                   number(study.doubt), ...found.map((title) => number(valueOf(study, study.best, title)))];
    return made("tr", {}, made("th", { scope: "row" }, link), ...cells.map((text) => made("td", {}, text)));
  }));
  if (focused) document.querySelector(`[data-study="${focused}"]`)?.focus({ preventScroll: true });
}

function choose() {
  const names = metrics();
  const told = names.filter((name) => studies.some((study) => study.points.some((point) => valueOf(study, point, name) !== null)));
  const usual = told.length ? told : names;
  for (const [axis, place] of [["x", 0], ["y", usual.length - 1]]) {
    const select = $(`several-${axis}`);
    if (!asked.has(axis) || !names.includes(chosen[axis])) chosen[axis] = usual[place] ?? null;
    if ([...select.options].map((option) => option.value).join() !== names.join()) {
      select.replaceChildren(...names.map((name) => made("option", { value: name }, name)));
    }
    select.value = chosen[axis];
  }
}

// The points that no other of the study beats in both; the lower value is better, but for a quality that says otherwise.
function front(study) {
  const sign = (title) => (study.better === "higher" && title === heading(study.metrics.at(-1)) ? -1 : 1);
  const cost = (point) => [chosen.x, chosen.y].map((title) => sign(title) * valueOf(study, point, title));
  let least = Infinity;
  return study.points
    .filter((point) => valueOf(study, point, chosen.x) !== null && valueOf(study, point, chosen.y) !== null)
    .sort((one, other) => cost(one)[0] - cost(other)[0] || cost(one)[1] - cost(other)[1])
    .filter((point) => cost(point)[1] < least && ((least = cost(point)[1]), true));
}

async function showChart() {
  if (chosen.x === null) return;
  const best = new Map(studies.map((study) => [study, new Set(front(study))]));
  const points = studies.flatMap((study) => study.points.map((point) => ({
    study: study.name, shape: point.shape, x: valueOf(study, point, chosen.x), y: valueOf(study, point, chosen.y), front: best.get(study).has(point),
  }))).filter((point) => point.x !== null && point.y !== null);
  const axis = (title) => ({ type: "quantitative", scale: { zero: false, nice: true }, title });
  const text = getComputedStyle(document.body).color;
  const color = { field: "study", type: "nominal", scale: { domain: studies.map(({ name }) => name), range: COLOURS } };
  const beside = $("several-chart").clientWidth < 600 ? { orient: "bottom", columns: 1 } : {};
  const spec = {
    data: { values: points }, width: "container", height: 320, background: "transparent",
    config: { axis: { labelColor: text, titleColor: text, gridOpacity: 0.25 }, legend: { labelColor: text, titleColor: text, ...beside }, view: { stroke: null } },
    encoding: { x: { field: "x", ...axis(chosen.x) }, y: { field: "y", ...axis(chosen.y) }, color },
    layer: [
      { transform: [{ filter: "datum.front" }], mark: { type: "line", strokeWidth: 2 } },
      { mark: { type: "point", filled: true, size: 60 },
        encoding: { shape: { field: "study", type: "nominal", scale: { domain: color.scale.domain } }, opacity: { condition: { test: "datum.front", value: 1 }, value: 0.35 },
                    tooltip: [{ field: "study" }, { field: "shape" }, { field: "x", title: chosen.x }, { field: "y", title: chosen.y }] } },
    ],
  };
  view?.finalize();
  // Errors are told, but no warnings: two metrics that no study has both leave the chart empty.
  const options = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false, logLevel: 1,
                    tooltip: { disableDefaultStyle: true } };
  ({ view } = await vegaEmbed($("several-chart"), spec, options));
  $("several-chart").querySelector("svg").setAttribute("aria-hidden", "true"); // the element around it is described
  $("several-chart").dataset.points = points.length;
}

const ask = fetching("content.json", async (content) => {
  studies = content;
  const running = studies.filter(({ state }) => state === "running").length;
  const text = `${studies.length === 1 ? "One study" : `${grouped(studies.length)} studies`}; ` +
    (running ? `${grouped(running)} of them being searched now.` : "no search runs.");
  if ($("several-text").textContent !== text) $("several-text").textContent = text;
  showTable();
  choose();
  await showChart();
  document.body.dataset.state = "complete";
});

for (const axis of ["x", "y"]) {
  $(`several-${axis}`).addEventListener("change", (event) => {
    chosen[axis] = event.target.value;
    asked.add(axis);
    showChart();
  });
}
hear(ask);
