// What the page knows, and the answer to a question. It decides exactly as `shape-dnn ask` does.

let overview, charts, fronts, orders, cells, rows, column, quality, names;
const question = { limits: [], goal: "", confidence: 0.5, front: [], order: [], asked: false };

// Take what is known. Whatever the viewer has asked stays; a question that nobody touched is that of the search.
function take(data) {
  ({ overview, charts, fronts, orders, cells } = data);
  rows = overview.shapes;
  quality = overview.quality;
  column = Object.fromEntries(overview.metrics.map((metric, i) => [metric.name, `m${i}`]));
  rows.forEach((row, i) => {
    row.place = i;
    row.expected = row.quality ?? row.mean;
    const knows = row.mean !== null && row.std !== null; // how sure a prediction is; what is impossible is left out
    row.low = knows ? Math.max(row.mean - 1.96 * row.std, quality.minimum ?? -Infinity) : null;
    row.high = knows ? Math.min(row.mean + 1.96 * row.std, quality.maximum ?? Infinity) : null;
  });
  names = overview.metrics.map((metric) => metric.name);
  if (rows.some((row) => row.expected !== null)) names.push(quality.name);
  const former = question.limits;
  question.limits = overview.limits.map((limit) => {
    const own = former.find((each) => each.metric === limit.metric && each.upper === limit.upper);
    return { ...limit, value: question.asked && own ? own.value : limit.value };
  });
  if (!question.asked || !overview.goals.some((goal) => goal.name === question.goal)) question.goal = overview.goal;
  if (!question.asked || !overview.levels.some(({ confidence }) => confidence === question.confidence)) {
    question.confidence = overview.confidence;
  }
  if (!question.front.length || !question.front.every((name) => names.includes(name))) question.front = usualFront();
  if (question.order.some((place) => !overview.timings[place]) || !question.order.length) question.order = overview.compared;
}

// Two metrics or those that were asked for, of which the first two are the axes of the chart; none as long as there is
// only one, before anything was trained or predicted.
function usualFront() {
  if (names.length < 2) return [];
  const asked = overview.pareto.filter((name) => names.includes(name));
  if (asked.length >= 2) return asked;
  const costly = ["latency", "energy", "size"]
    .map((base) => names.find((name) => name.split("@")[0] === base))
    .find((name) => name !== undefined) ?? names[0];
  return [costly, names.findLast((name) => name !== costly)];
}

function allows(limit, value) {
  if (limit.value === null) return true;
  return value !== null && (limit.upper ? value <= limit.value : value >= limit.value);
}

const valueOf = (row, name) => (name === quality.name ? row.expected : row[column[name]]);
const isLost = (row) => row.state === "failed" || row.state === "stopped";
const goalOf = () => overview.goals.find((each) => each.name === question.goal);
const complies = (row) => !isLost(row) && question.limits.every((limit) => allows(limit, valueOf(row, limit.metric)));

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
  for (const row of rows) Object.assign(row, { complies: complies(row), best: false, on_front: false, on_line: false });
  const complying = rows.filter((row) => row.complies);
  const goal = goalOf();
  let best = null;
  if (goal) {
    // Rows are in order of width and depth, so that the smaller shape wins a tie.
    // The answer to the question that was searched was verified; to another one it may be a prediction.
    const trained = isSearched() && complying.some((row) => row.quality !== null);
    const sure = complying.some(isSure);
    for (const row of complying) {
      const score = goal.scores[row.place];
      if (trained ? row.quality === null : sure && !isSure(row)) continue;
      if (score !== null && (best === null || score < best.score)) best = { row, score };
    }
    if (best) best.row.best = true;
  }
  const isLine = question.front.length === 2; // more have a front that is no line between two axes
  for (const row of front(complying)) Object.assign(row, { on_front: true, on_line: isLine });
  return { complying, best: best && best.row };
}

// The shapes that no other beats in all metrics of the front; of equal ones, all.
function front(among) {
  const candidates = !question.front.length ? [] :
    among.map((row) => ({ row, cost: costs(row) })).filter(({ cost }) => !cost.includes(null));
  const order = (a, b) => a.cost.map((value, i) => value - b.cost[i]).find((difference) => difference) ?? 0;
  const beats = (a, b) => a.cost.every((value, i) => value <= b.cost[i]) && order(a, b) !== 0;
  const found = []; // who beats another comes before it, so that nothing has to be taken back
  for (const candidate of candidates.sort(order)) {
    if (!found.some((other) => beats(other, candidate))) found.push(candidate);
  }
  return found.map(({ row }) => row);
}

// The shape that comes closest where nothing complies, as a search says it: of those that meet all limits on metrics the
// one that misses those on the quality by the least, one that was trained if the question was searched; or else the one
// that is beyond its limits by the smallest factor.
function closest() {
  const known = rows.filter((row) => !isLost(row));
  const isOfQuality = (limit) => limit.metric === quality.name;
  const others = question.limits.filter((limit) => !isOfQuality(limit));
  const left = known.filter((row) => row.expected !== null && others.every((limit) => allows(limit, valueOf(row, limit.metric))));
  const trained = isSearched() && overview.confident ? left.filter((row) => row.quality !== null) : [];
  const least = (among, cost) => among.reduce((best, row) => (best === null || cost(row) < cost(best) ? row : best), null);
  const limits = question.limits.filter((limit) => isOfQuality(limit) && limit.value !== null);
  const shortfall = (row) => Math.max(...limits.map(({ upper, value }) => (upper ? row.expected - value : value - row.expected)));
  if (left.length) return least(trained.length ? trained : left, shortfall);
  const excess = (limit, value) => {
    if (allows(limit, value)) return 0;
    if (value === null) return Infinity;
    return Math.abs(value - limit.value) / (Math.abs(limit.value) || 1);
  };
  const found = least(known, (row) => Math.max(...others.map((limit) => excess(limit, valueOf(row, limit.metric)))));
  return found && others.every((limit) => limit.value === null || valueOf(found, limit.metric) !== null) ? found : null;
}

// What a shell takes for one word; a table may call its columns anything.
const word = (text) => (/^[\p{L}\p{N}_@%+=:,./-]+$/u.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function commandLine() {
  const parts = [overview.command];
  for (const { flag, metric, value } of question.limits.filter((limit) => limit.value !== null)) {
    parts.push(flag, flag === "--max" || flag === "--min" ? word(`${metric}=${value}`) : value);
  }
  const isLimited = question.limits.some((limit) => limit.metric === quality.name && limit.value !== null);
  // A replay is a search: whether it has a confidence, and which, decides what it trains, whatever is limited.
  const { replayed, confident, confidence, usual_confidence: usual } = overview;
  const isOther = question.confidence !== (confident ? usual : confidence);
  const isWanted = !replayed ? isLimited : confident ? isOther || isLimited : isOther && isLimited;
  return isWanted ? [...parts, `--confidence ${question.confidence}`] : parts;
}
