// Numbers and sentences.

const $ = (id) => document.getElementById(id);
// A comma after every three digits before the point.
const grouped = (value) => String(value).replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
const counted = (number, one) => `${grouped(number)} ${one}${number === 1 ? "" : "s"}`;
const number = (value, digits = 4) => (value === null ? "–" : grouped(Number(value.toPrecision(digits))));

// What `write` makes of a value that it gives so many decimals, rounded as Python does it: of two numbers that are
// equally near, the one with the even digit.
function rounded(value, decimals, write) {
  const [digits, power] = value.toExponential(100).split("e"); // which is exact
  const exact = digits.replace(/[-.]/g, "").replace(/0+$/, "");
  const isMiddle = exact.length === decimals + Number(power) + 2 && exact.endsWith("5");
  return write(isMiddle && "02468".includes(exact.at(-2) ?? "0") ? value * (1 - Number.EPSILON) : value);
}

// A value of the quality as `Quality.number` in quality.py writes it, with its unit, and what differs by little.
function alone(value, digits = 4) {
  const decimals = quality.unit === "%" ? digits - 2 : 0, size = Math.abs(value);
  if (quality.unit === "%" || (size >= 10 ** (digits - 1) && size < 1e7)) return rounded(value, decimals, (v) => grouped(v.toFixed(decimals)));
  const most = digits - 1, power = Number(value.toExponential(100).split("e")[1]);
  const [text, sized] = rounded(value, most - power, (v) => [v.toPrecision(digits), v.toExponential(most)]);
  if (size < 1e7 && (size === 0 || Math.abs(Number(sized)) >= 1e-4)) return grouped(text);
  const [number, exponent] = (size < 1e7 ? sized : sized.replace(/\.?0*e/, "e")).split("e");
  return `${number}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

// As many digits as a value needs so that what is written is on the same side of its limits as what is meant.
function digitsOf(name, value, write) {
  const limits = question.limits.filter((limit) => limit.metric === name);
  const isTold = (digits) => limits.every((limit) => allows(limit, Number(write(value, digits).replaceAll(",", ""))) === allows(limit, value));
  let digits = 4;
  while (digits < 17 && !isTold(digits)) digits++;
  return digits;
}
const judged = (value) => alone(value, digitsOf(quality.name, value, alone));
const measured = (name, value) => number(value, digitsOf(name, value, number));
const written = (value) => `${judged(value)} ${quality.unit}`.trim();
const spread = (value) => alone(value, quality.unit === "%" ? 4 : 2);
const unitOf = (name) => overview.metrics.find((metric) => metric.name === name)?.unit ?? "";
const headed = (name) => (name === quality.name ? quality.unit : unitOf(name)) ? `${name} [${name === quality.name ? quality.unit : unitOf(name)}]` : name;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const strong = (text) => element("strong", {}, text);

// Parts of a sentence with commas, and the word before the last.
function listed(parts, word = "and") {
  return parts.flatMap((part, i) => [i === 0 ? "" : i === parts.length - 1 ? ` ${word} ` : ", ", ...[part].flat()]);
}

const isShare = () => quality.name === "accuracy" && quality.unit === "%";

// What a network does with a value of a metric; `bound` is such as "at most ".
function does(name, text, bound = "", many = false) {
  const [base, place] = name.split("@");
  const s = many ? "" : "s", value = strong(text), there = place ? ` on ${place}` : "";
  const batch = overview.batch > 1 ? ` for ${overview.batch} ${overview.cases} at once` : "";
  switch (base) {
    case "size": return [`take${s} ${bound}`, value];
    case "file-size": return [`${many ? "are files" : "is a file"} of ${bound}`, value];
    case "latency": return [`answer${s} in ${bound}`, value, batch + there];
    case "graph-latency": return [`answer${s}, launched as one CUDA graph, in ${bound}`, value, batch + there];
    case "energy": return [`use${s} ${bound}`, value, batch + there];
    case "memory": return [`need${s} ${bound}`, value, ` of memory${there}`];
    default: return [`${many ? "have" : "has"} ${base} of ${bound}`, value, there];
  }
}

function limitInWords(limit, many = false) {
  const bound = limit.upper ? "at most " : "at least ";
  const text = `${grouped(limit.value)} ${limit.unit}`.trim();
  if (limit.metric !== quality.name || !isShare()) return does(limit.metric, text, bound, many);
  return [`${many ? "are" : "is"} right on ${bound}`, strong(text), ` of ${overview.cases}`];
}

const limitsInWords = (many) =>
  listed(question.limits.filter((limit) => limit.value !== null).map((limit) => limitInWords(limit, many)));

const FRACTIONS = { "1": "as wide as usual", "1/2": "half as wide as usual", "1/3": "a third as wide as usual",
  "2/3": "two thirds as wide as usual", "1/4": "a quarter as wide as usual", "3/4": "three quarters as wide as usual",
  "1/8": "an eighth as wide as usual", "3/8": "three eighths as wide as usual", "5/8": "five eighths as wide as usual",
  "7/8": "seven eighths as wide as usual", "2": "twice as wide as usual" };

function shapeInWords(row) {
  if (!overview.layers) return ["depth ", strong(String(row.depth)), " and width ", strong(row.fraction)];
  const wide = FRACTIONS[row.fraction] ?? `${row.fraction} times as wide as usual`;
  return [strong(`${row.depth} ${row.depth === 1 ? "layer" : "layers"} deep`), " and ", strong(wide)];
}

// Names the best network by the goal.
function superlative() {
  const [base, place] = question.goal.split("@");
  const there = place ? ` on ${place}` : "";
  if (question.goal === quality.name) return isShare() ? "most accurate network" : `network with the best ${quality.name}`;
  const known = { size: "smallest network", "file-size": "network with the smallest file", latency: "fastest network",
    "graph-latency": "fastest network as a CUDA graph",
    energy: "network that uses least energy", memory: "network that needs least memory" };
  if (known[base]) return known[base] + there;
  return names.includes(question.goal) ? `network with the lowest ${question.goal}` : `best network by ${question.goal}`;
}

// What is known of the quality of a network.
function qualityInWords(row) {
  const share = isShare() ? ` of ${overview.cases}` : "";
  if (row.quality !== null) {
    const tested = row.tested === null ? "" : ` (${written(row.tested)} on ${overview.cases} never used before)`;
    const before = (row.before ?? null) === null ? "" : `, ${alone(row.before)} in float32`;
    return [isShare() ? "was right on " : `reached ${quality.name} of `, strong(written(row.quality)), share + tested + before];
  }
  if (row.mean === null) return null;
  const range = row.std === null ? "" : ` ± ${spread(1.96 * row.std)}`;
  const value = strong(`${judged(row.mean)}${range} ${quality.unit}`.trim());
  return [isShare() ? "should be right on " : `should reach ${quality.name} of `, value, `${share}, by prediction`];
}

// "It takes 0.08 MB and was right on 98.3 % of images."
function factsInWords(row) {
  const asked = new Set(question.limits.filter((limit) => limit.value !== null).map((limit) => limit.metric));
  const goal = goalOf();
  const shown = overview.metrics.filter(({ name }) => row[column[name]] !== null &&
    (asked.has(name) || name === "size" || (goal && goal.metrics.includes(name))));
  const parts = shown.map(({ name, unit }) => does(name, `${measured(name, row[column[name]])} ${unit}`.trim()));
  const reached = qualityInWords(row);
  if (reached) parts.push(reached);
  return parts.length ? ["It ", ...listed(parts), "."] : ["Nothing of it is known yet."];
}

function describe(row) {
  const known = overview.metrics
    .filter((metric) => row[column[metric.name]] !== null)
    .map((metric) => `${metric.name} ${measured(metric.name, row[column[metric.name]])} ${metric.unit}`.trim());
  if (row.quality !== null) {
    const before = (row.before ?? null) === null ? "" : ` (${alone(row.before)} in float32)`;
    known.push(`trained ${quality.name} ${written(row.quality)}${before}`);
  } else if (row.mean !== null) {
    const range = row.std === null ? "" : ` ± ${spread(1.96 * row.std)}`;
    known.push(`predicted ${quality.name} ${`${judged(row.mean)}${range} ${quality.unit}`.trim()}, not trained yet`);
  }
  if (row.tested !== null) known.push(`test ${quality.name} ${written(row.tested)}`);
  return known.join(", ");
}
