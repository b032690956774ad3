// Sliders, fields and choices of the question.

// A round number of which some dozens lie between two values.
function stepOf(low, high) {
  const range = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(range / 50));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => range / step <= 100);
}

function stops(limit) {
  const known = rows.map((row) => valueOf(row, limit.metric)).filter((value) => value !== null).sort((a, b) => a - b);
  if (!known.length) return [];
  if (limit.metric === quality.name) {
    const [low, high] = [known[0], known[known.length - 1]];
    const step = quality.unit === "%" && high - low <= 100 ? (high - low < 5 ? 0.05 : high - low < 20 ? 0.1 : 0.5) : stepOf(low, high);
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

function limitControl(limit) {
  const choices = stops(limit);
  const id = `${limit.upper ? "most" : "least"}-${limit.metric}`; // the same when others become known
  const name = `${limit.metric} ${limit.upper ? "at most" : "at least"}`;
  const [least, most] = limit.metric === quality.name ? [quality.minimum, quality.maximum] : [0, null];
  const free = limit.upper ? choices.length : 0;
  const slider = element("input", { type: "range", min: 0, max: choices.length, step: 1, id: `slider-${id}`, "aria-label": name });
  const field = element("input", { type: "text", inputmode: "decimal", id: `limit-${id}`, placeholder: "no limit", size: 8,
                                   "aria-label": `${name}, in ${limit.unit || "its unit"}`, "aria-describedby": `hint-${id}` });
  const hint = element("small", { class: "hint", id: `hint-${id}`, role: "alert" });
  const from = least === null ? "" : ` from ${least}`, to = most === null ? "" : ` to ${most}`;
  const mark = (wrong) => {
    if (wrong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    const still = limit.value === null ? "there is no limit" : `the limit stays ${limit.value} ${limit.unit}`.trim();
    hint.textContent = wrong ? `accepted is a number${from}${to}; ${still}` : "";
  };
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
    mark(false);
    say();
    ask();
  });
  field.addEventListener("input", () => {
    const text = field.value.trim();
    const value = text === "" ? null : Number(text);
    const wrong = value !== null && !(Number.isFinite(value) && value >= (least ?? value) && value <= (most ?? value));
    mark(wrong);
    if (wrong) return;
    limit.value = value;
    place();
    ask();
  });
  field.value = limit.value ?? "";
  place();
  const label = element("span", {}, limit.metric, element("small", {}, ` ${limit.upper ? "at most" : "at least"}`));
  return element("div", { class: "limit" }, label, slider,
    element("span", { class: "value" }, field, element("small", {}, limit.unit)), hint);
}

// Fill a choice; what was chosen stays as far as it can.
function fill(select, entries, chosen, change) {
  select.replaceChildren(...entries.map(([value, text]) => element("option", { value }, text)));
  select.value = String(chosen);
  select.onchange = () => change(select.value);
}

function choice(id, label, entries, chosen, change) {
  const select = element("select", { id });
  fill(select, entries, chosen, change);
  return element("div", { class: "limit" }, element("label", { for: id }, label), select);
}

// What the axes of a chart show: the first two that are chosen. One that is chosen already changes places.
function axes(chart, entries, chosen, change) {
  const selects = ["x", "y"].map((axis) => $(`${chart}-${axis}`));
  selects.forEach((select, axis) => fill(select, entries, chosen[axis], (value) => {
    const former = chosen.findIndex((each) => String(each) === value);
    if (former >= 0) chosen[former] = chosen[axis];
    if (former === 1 - axis) selects[former].value = chosen[former];
    chosen[axis] = value;
    change();
  }));
}

// Of which metrics the front is: both axes, and any others.
function buildFront() {
  const renew = () => {
    changed();
    drawFront();
  };
  const others = () => $("front-also").replaceChildren(
    ...names.filter((name) => !question.front.slice(0, 2).includes(name)).map((name) => {
      const box = element("input", { type: "checkbox", value: name });
      box.checked = question.front.includes(name);
      box.onchange = () => {
        if (box.checked) question.front.push(name);
        else question.front.splice(question.front.indexOf(name), 1);
        renew();
      };
      return element("label", {}, box, ` ${name}`);
    }),
  );
  axes("front", names.map((name) => [name, name]), question.front, () => {
    others();
    renew();
  });
  others();
  $("front-others").hidden = names.length === 2;
}

function ask() {
  question.asked = true;
  table.page = 0;
  changed();
}

function buildControls() {
  const levels = overview.levels.map(({ confidence }) => [
    String(confidence), confidence === 0.5 ? "as expected" : `with probability ${confidence}`,
  ]);
  $("controls").onsubmit = (event) => event.preventDefault();
  $("controls").replaceChildren(
    choice("goal", "goal", [["", "none"], ...overview.goals.map((goal) => [goal.name, goal.name])], question.goal, (value) => {
      question.goal = value;
      ask();
    }),
    ...question.limits.map(limitControl),
    choice("confidence", "predicted ones count", levels, question.confidence, (value) => {
      question.confidence = Number(value);
      ask();
    }),
  );
  $("copy").onclick = copy;
}

async function copy() {
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
}
