// The live part of a report: limits and a goal in, the best shape out. It decides exactly as `shape-dnn ask` does.
"use strict";
(() => {
  const { overview, charts, fronts, orders } = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const rows = overview.shapes;
  const column = Object.fromEntries(overview.metrics.map((metric, i) => [metric.name, `m${i}`]));
  const quality = overview.quality;

  for (const row of rows) {
    row.expected = row.quality ?? row.mean;
    row.low = row.mean === null || row.std === null ? null : row.mean - 1.96 * row.std;
    row.high = row.mean === null || row.std === null ? null : row.mean + 1.96 * row.std;
  }

  // The question, as the controls say it.
  const question = {
    limits: overview.limits.map((limit) => ({ ...limit })),
    goal: overview.goal,
    confidence: overview.confidence,
    front: [],
  };
  const names = overview.metrics.map((metric) => metric.name);
  if (rows.some((row) => row.expected !== null)) names.push(quality.name);
  const costly = ["latency", "energy", "size"]
    .map((base) => names.find((name) => name.split("@")[0] === base))
    .find((name) => name !== undefined) ?? names[0];
  const order = overview.compared; // places of two latencies
  question.front = [costly, names.findLast((name) => name !== costly)];

  // The answer.

  function allows(limit, value) {
    if (limit.value === null) return true;
    return value !== null && (limit.upper ? value <= limit.value : value >= limit.value);
  }

  const valueOf = (row, name) => (name === quality.name ? row.expected : row[column[name]]);

  function complies(row) {
    if (row.state === "failed" || row.state === "stopped") return false;
    return question.limits.every((limit) => allows(limit, valueOf(row, limit.metric)));
  }

  // Whether it was trained, or complies with the wanted probability as well as by expectation.
  function isSure(row) {
    if (row.quality !== null || row.mean === null || !row.std) return true;
    const deviations = overview.levels.find((level) => level.confidence === question.confidence).deviations * row.std;
    return question.limits.every((limit) =>
      limit.metric !== quality.name || allows(limit, limit.upper ? row.mean + deviations : row.mean - deviations));
  }

  function costs(row) {
    return question.front.map((name) => {
      const value = valueOf(row, name);
      return value !== null && name === quality.name && quality.better === "higher" ? -value : value;
    });
  }

  function isSearched() {
    const same = question.limits.every((limit, i) => limit.value === overview.limits[i].value);
    return overview.verified && same && question.goal === overview.goal && question.confidence === overview.confidence;
  }

  function decide() {
    for (const row of rows) Object.assign(row, { complies: complies(row), best: false, on_front: false });
    const complying = rows.filter((row) => row.complies);
    const goal = overview.goals.find((each) => each.name === question.goal);
    let best = null;
    if (goal) {
      // Rows are in order of width and depth, so that the smaller shape wins a tie.
      // The answer to the question that was searched was verified; to another one it may be a prediction.
      const trained = isSearched() && complying.some((row) => row.quality !== null);
      const sure = complying.some(isSure);
      rows.forEach((row, i) => {
        const score = goal.scores[i];
        if (trained ? row.quality === null : sure && !isSure(row)) return;
        if (row.complies && score !== null && (best === null || score < best.score)) best = { row, score };
      });
      if (best) best.row.best = true;
    }
    const candidates = complying.map((row) => [row, costs(row)]).filter(([, cost]) => !cost.includes(null));
    // From the left to the right, and from below where two are above each other, a shape is on the front if it is lower
    // than all before it; those that are equal to it are, too.
    candidates.sort(([, a], [, b]) => a[0] - b[0] || a[1] - b[1]);
    let last = null;
    for (const [row, own] of candidates) {
      row.on_front = last === null || own[1] < last[1] || (own[0] === last[0] && own[1] === last[1]);
      if (row.on_front) last = own;
    }
    return { complying, best: best && best.row };
  }

  function commandLine() {
    const parts = [overview.command];
    for (const limit of question.limits) if (limit.value !== null) parts.push(limit.flag + limit.value);
    if (question.limits.some((limit) => limit.metric === quality.name && limit.value !== null)) {
      parts.push(`--confidence ${question.confidence}`);
    }
    return parts;
  }

  // What is shown of it.

  const number = (value, digits = 4) => (value === null ? "–" : String(Number(value.toPrecision(digits))));

  // A value of the quality as `Quality.number` in quality.py writes it, with its unit, and what differs by little.
  function alone(value, digits = 4) {
    if (quality.unit === "%") return value.toFixed(digits - 2);
    if (Math.abs(value) < 10 ** (digits - 1)) return value.toPrecision(digits);
    return Math.abs(value) < 1e7 ? value.toFixed(0) : number(value, digits);
  }
  const written = (value) => `${alone(value)} ${quality.unit}`.trim();
  const spread = (value) => alone(value, quality.unit === "%" ? 4 : 2);

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function describe(row) {
    const known = overview.metrics
      .filter((metric) => row[column[metric.name]] !== null)
      .map((metric) => `${metric.name} ${number(row[column[metric.name]])} ${metric.unit}`.trim());
    if (row.quality !== null) {
      const before = (row.before ?? null) === null ? "" : ` (${alone(row.before)} in float32)`;
      known.push(`trained ${quality.name} ${written(row.quality)}${before}`);
    } else if (row.mean !== null) {
      const range = row.std === null ? "" : ` ± ${spread(1.96 * row.std)}`;
      const value = `${alone(row.mean)}${range} ${quality.unit}`.trim();
      known.push(`predicted ${quality.name} ${value}, not trained yet`);
    }
    if (row.tested !== null) known.push(`test ${quality.name} ${written(row.tested)}`);
    return known.join(", ");
  }

  function showAnswer({ complying, best }) {
    const predicted = complying.filter((row) => row.quality === null);
    const count = `${complying.length} of ${rows.length} shapes comply`;
    const likely = predicted.filter((row) => !isSure(row)).length;
    const sure = predicted.length ? `; the ${quality.name} of ${predicted.length} of them is only predicted` +
      (likely ? `, and ${likely} comply likely, but not surely` : "") : "";
    const lines = [element("p", {}, `${count}${sure}.`)];
    if (best) {
      const name = element("strong", { id: "best" }, `depth ${best.depth}, width ${best.fraction}`);
      lines.unshift(element("p", {}, name, element("br"), describe(best)));
      if (overview.export && best.quality !== null) {
        const command = `${overview.export} --shape ${best.depth},${best.fraction}`;
        lines.push(element("p", {}, "Its network as files: ", element("code", { id: "export" }, command)));
      }
    } else if (question.goal && complying.length) {
      lines.unshift(element("p", {}, `No shape that complies has a value for the goal.`));
    } else if (!complying.length) {
      lines.unshift(element("p", {}, element("strong", {}, "Nothing complies.")));
    } else lines.unshift(element("p", {}, "Choose a goal to have one shape called the best."));
    $("answer").replaceChildren(...lines);
    const goal = overview.goals.find((each) => each.name === question.goal);
    $("command").textContent = [...commandLine(), ...(goal ? [goal.flag] : [])].join(" ");
    $("front-command").textContent = [...commandLine(), `--pareto ${question.front.join(",")}`].join(" ");
    const front = rows.filter((row) => row.on_front).map((row) => row.name);
    $("front-shapes").textContent = front.length ? `On the front: ${front.join("; ")}` : "No shape is on the front.";
    const verdicts = document.querySelectorAll("td.verdict");
    const scores = document.querySelectorAll("td.score");
    rows.forEach((row, i) => {
      verdicts[i].textContent = row.best ? "★" : !row.complies ? "" : isSure(row) ? "✓" : "likely";
      scores[i].textContent = number(goal ? goal.scores[i] : null);
    });
  }

  // Charts. Vega interprets its expressions instead of compiling them, which the content security policy forbids.

  const options = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false,
                    tooltip: { disableDefaultStyle: true, formatTooltip: tooltip } };
  const views = new Map();

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

  async function draw(id, spec, more = {}) {
    if (views.has(id)) views.get(id).finalize();
    // As many small charts beside each other as there is room for.
    const small = spec.facet ? { columns: Math.max(1, Math.floor($(id).clientWidth / 225)) } : {};
    const whole = { ...spec, ...small, datasets: { shapes: rows, curves: overview.curves, ...more } };
    views.set(id, (await vegaEmbed($(id), whole, options)).view);
    $(id).querySelector("svg").setAttribute("aria-hidden", "true"); // the element around it is described
  }

  function redraw() {
    const live = charts.filter((chart) => chart.live && views.has(chart.id));
    for (const { id } of live) views.get(id).data("shapes", rows.map((row) => ({ ...row }))).runAsync();
  }

  const drawFront = () => draw("front", fronts[question.front.join(" ")]);

  // Two latencies: which shapes change their order, and with which others.
  function drawOrder() {
    const { spec, text, pairs, moved } = orders[order.join(" ")];
    const columns = order.map((place) => overview.timings[place].column);
    const changing = new Set(moved);
    rows.forEach((row, i) => (row.order = changing.has(i) ? "changes" : "keeps"));
    const lines = pairs.map(([i, j]) => Object.fromEntries([
      ["name", `${rows[i].name} and ${rows[j].name} change their order`],
      ...columns.flatMap((name) => [[name, rows[i][name]], [`${name}2`, rows[j][name]]]),
    ]));
    $("order-text").textContent = text;
    return draw("order", spec, { pairs: lines });
  }

  let waiting = false;
  function update() {
    showAnswer(decide());
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      redraw();
    });
  }

  // Controls.

  // A round number of which some dozens lie between two values.
  function stepOf(low, high) {
    const range = high - low || Math.abs(high) || 1;
    const power = 10 ** Math.floor(Math.log10(range / 50));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => range / step <= 100);
  }

  function stops(limit) {
    const values = rows.map((row) => valueOf(row, limit.metric));
    const known = values.filter((value) => value !== null).sort((a, b) => a - b);
    if (!known.length) return [];
    if (limit.metric === quality.name) {
      const [low, high] = [known[0], known[known.length - 1]];
      const step = quality.unit === "%" ? (high - low < 5 ? 0.05 : high - low < 20 ? 0.1 : 0.5) : stepOf(low, high);
      const first = Math.floor(low / step), last = Math.ceil(high / step);
      const possible = (value) => Math.min(Math.max(value, quality.minimum ?? value), quality.maximum ?? value);
      return Array.from({ length: last - first + 1 }, (_, i) => possible(Number(((first + i) * step).toPrecision(12))));
    }
    // Three digits, away from the value, so that the shape itself complies.
    const round = (value) => {
      if (value === 0) return 0;
      const scale = 10 ** (2 - Math.floor(Math.log10(Math.abs(value))));
      return Number(((limit.upper ? Math.ceil(value * scale) : Math.floor(value * scale)) / scale).toPrecision(12));
    };
    return [...new Set(known.map(round))];
  }

  function limitControl(limit, i) {
    const choices = stops(limit);
    const name = `${limit.metric} ${limit.upper ? "at most" : "at least"}`;
    const [least, most] = limit.metric === quality.name ? [quality.minimum, quality.maximum] : [0, null];
    const free = limit.upper ? choices.length : 0;
    const slider = element("input", { type: "range", min: 0, max: choices.length, step: 1, id: `slider-${i}`, "aria-label": name });
    const field = element("input", { type: "text", inputmode: "decimal", id: `limit-${i}`, placeholder: "no limit", size: 8,
                                     "aria-label": `${name}, in ${limit.unit || "its unit"}` });
    const say = () => slider.setAttribute("aria-valuetext", limit.value === null ? "no limit" : `${limit.value} ${limit.unit}`.trim());
    const place = () => {
      if (limit.value === null) slider.value = free;
      else {
        const at = choices.findIndex((choice) => choice >= limit.value);
        slider.value = limit.upper ? (at < 0 ? choices.length : at) : at < 0 ? choices.length : at + 1;
      }
      say();
    };
    slider.addEventListener("input", () => {
      const at = Number(slider.value);
      limit.value = at === free ? null : choices[limit.upper ? at : at - 1];
      field.value = limit.value ?? "";
      field.removeAttribute("aria-invalid");
      say();
      update();
    });
    field.addEventListener("input", () => {
      const text = field.value.trim();
      const value = text === "" ? null : Number(text);
      const wrong = value !== null && !(Number.isFinite(value) && value >= (least ?? value) && value <= (most ?? value));
      field.toggleAttribute("aria-invalid", wrong);
      if (wrong) return field.setAttribute("aria-invalid", "true");
      limit.value = value;
      place();
      update();
    });
    field.value = limit.value ?? "";
    place();
    return element("div", { class: "limit" }, element("span", {}, `${name}${limit.unit ? ` [${limit.unit}]` : ""}`), slider, field);
  }

  function choice(id, label, entries, chosen, change) {
    const select = element("select", { id });
    for (const [value, text] of entries) {
      const entry = element("option", { value }, text);
      entry.selected = value === String(chosen);
      select.append(entry);
    }
    select.addEventListener("change", () => change(select.value));
    return element("div", { class: "limit" }, element("label", { for: id }, label), select);
  }

  // What a chart of two things shows; whatever is chosen for both axes changes places.
  function axes(chart, entries, chosen, change) {
    const selects = ["x", "y"].map((axis) => $(`${chart}-${axis}`));
    selects.forEach((select, axis) => {
      select.append(...entries.map(([value, text]) => element("option", { value }, text)));
      select.value = chosen[axis];
      select.addEventListener("change", () => {
        if (select.value === String(chosen[1 - axis])) selects[1 - axis].value = chosen[1 - axis] = chosen[axis];
        chosen[axis] = select.value;
        change();
      });
    });
  }

  function build() {
    const controls = $("controls");
    controls.addEventListener("submit", (event) => event.preventDefault());
    question.limits.forEach((limit, i) => controls.append(limitControl(limit, i)));
    const levels = overview.levels.map(({ confidence }) => [
      String(confidence), confidence === 0.5 ? "as expected" : `with probability ${confidence}`,
    ]);
    controls.append(
      choice("confidence", "predicted ones", levels, question.confidence, (value) => {
        question.confidence = Number(value);
        update();
      }),
      choice("goal", "goal", [["", "none"], ...overview.goals.map((goal) => [goal.name, goal.name])], question.goal, (value) => {
        question.goal = value;
        update();
      }),
    );
    axes("front", names.map((name) => [name, name]), question.front, () => {
      update();
      drawFront();
    });
    if (order.length) axes("order", overview.timings.map(({ title }, i) => [String(i), title]), order, drawOrder);
    $("copy").addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents($("command"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      try {
        await navigator.clipboard.writeText($("command").textContent);
        $("copy").textContent = "Copied";
      } catch {
        $("copy").textContent = "Selected"; // a file that was mailed may not write to the clipboard
      }
    });
  }

  // Between two charts the controls come first, and whatever else waits.
  const idle = () => new Promise((done) => (window.requestIdleCallback ?? setTimeout)(done));

  async function start() {
    build();
    showAnswer(decide());
    if (names.length > 1) await drawFront();
    document.body.dataset.state = "ready";
    await new Promise((done) => setTimeout(done, 1000)); // the first second is for the controls; the rest is further down
    for (const { id, spec } of charts) {
      if (!spec) continue;
      await idle();
      await draw(id, spec);
    }
    if (order.length) await drawOrder();
    document.body.dataset.state = "complete";
  }

  start();
})();
