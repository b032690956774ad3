// What goes on in a search, above its report, which is given newer content as `report/script/main.js` says.
{
  const at = (id) => document.getElementById(id);
  const shown = JSON.parse(at("data").textContent);
  const STATES = { running: "Searching", finished: "Finished", stopped: "Stopped", interrupted: "Stopped", none: "The search" };
  let facts = shown.facts, until = null;

  function made(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // A line through points, with `low` and `high` at the edges and perhaps a level that is wanted.
  function picture(points, [first, last], [low, high], label, wanted = null) {
    const make = (name, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    const x = (value) => (100 * (value - first)) / (last - first || 1);
    const y = (value) => 97 - (94 * (value - low)) / (high - low || 1);
    const svg = make("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": label });
    if (wanted !== null) svg.append(make("line", { class: "wanted", x1: 0, x2: 100, y1: y(wanted), y2: y(wanted) }));
    const places = points.length > 1 ? points : [[first, points[0][1]], ...points];
    svg.append(make("polyline", { class: "line", points: places.map(([i, value]) => `${x(i)},${y(value)}`).join(" ") }));
    return svg;
  }

  function training({ shape, text, points, epochs }, edges) {
    const whole = [points[0][0], epochs ?? points.at(-1)[0]];
    return made("figure", { class: "training" }, made("figcaption", {}, `${shape}: ${text}`),
                picture(points, whole, edges, `Learning curve of ${shape}`));
  }

  const list = (id, texts, none) => at(id).replaceChildren(...(texts.length ? texts : [none]).map((text) => made("li", {}, text)));

  // A probability, of which also a small one is told from none.
  const part = (value) => (value > 0 && value < 0.01 ? String(Number(value.toPrecision(2))) : value.toFixed(2));

  function phrase(seconds) {
    if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
    return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }

  function sayLeft() {
    const left = at("live-doing").dataset.doing;
    const time = until === null ? "" : `, about ${phrase((until - Date.now()) / 1000)} left of what is planned`;
    at("live-doing").textContent = left ? `${left}${time}.` : "";
  }

  function show(live) {
    at("live").dataset.state = live.state;
    at("live-state").textContent = STATES[live.state];
    if (at("live-text").textContent !== live.text) at("live-text").textContent = live.text; // it is read aloud
    at("live-doing").dataset.doing = live.doing + (live.waiting ? `; ${live.waiting} waiting or starting` : "");
    until = live.left === null ? null : Date.now() + 1000 * live.left;
    sayLeft();
    const values = live.running.flatMap(({ points }) => points.map(([, value]) => value));
    const edges = [Math.min(...values), Math.max(...values)]; // of all, so that curves can be compared
    at("live-running").replaceChildren(...live.running.map((each) => training(each, edges)));
    at("live-doubt").hidden = !live.doubts.length;
    if (live.doubts.length) {
      const last = live.doubts.at(-1);
      const label = `Doubt, the probability that the answer is not right yet: ${live.doubts.map(([n, p]) => `${part(p)} after ${n}`).join(", ")}`;
      const from = [Math.min(...live.doubts.map(([n]) => n)) - (live.doubts.length === 1), Math.max(...live.doubts.map(([n]) => n))];
      at("live-doubt").querySelector("figcaption").textContent =
        `Doubt: ${part(last[1])} after ${last[0]} ${last[0] === 1 ? "training" : "trainings"}` + (live.wanted === null ? "" : `; ${part(live.wanted)} is low enough`);
      at("live-doubt").querySelector("div").replaceChildren(picture(live.doubts, from, [0, 1], label, live.wanted));
    }
    list("live-stages", live.stages, "none that was applied yet");
    list("live-chosen", live.chosen.map(({ shape, reason, numbers }) => `${shape}: ${reason}${numbers ? ` (${numbers})` : ""}`), "nothing yet");
    list("live-failures", live.failures, "none");
  }

  const ask = fetching("content.json", (content) => {
    facts = content.facts;
    at("live-error").hidden = !content.error;
    at("live-error").textContent = content.error && `There is no report ${window.shapeDnn ? "any more" : "yet"}: ${content.error}`;
    if (!content.data) return;
    if (window.shapeDnn) window.shapeDnn.update(content);
    else location.reload(); // there was no report when the page was opened
  });

  show(shown.live);
  hear((live) => {
    show(live);
    if (live.facts !== facts) ask();
  });
  setInterval(sayLeft, 1000);
}
