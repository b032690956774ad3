// The table of all shapes, a page of it at a time: the best first, then the others that comply, then the rest.

const PAGE = 50;
const table = { page: 0, order: [], visible: false, stale: true };

// The question changed: what nobody looks at is ordered and drawn when it comes into view.
function renewTable() {
  table.stale = true;
  if (!table.visible && rows.length > MOST_POINTS) return;
  table.stale = false;
  orderTable();
  drawTable();
}

const tableWatcher = new IntersectionObserver((entries) => {
  table.visible = entries[entries.length - 1].isIntersecting;
  if (table.visible && table.stale) renewTable();
}, { rootMargin: "200px" });

function orderTable() {
  const scores = goalOf()?.scores;
  const score = (row) => scores?.[row.place] ?? Infinity;
  const complying = rows.filter((row) => row.complies);
  if (scores) complying.sort((a, b) => b.best - a.best || score(a) - score(b) || a.place - b.place);
  table.order = [...complying, ...rows.filter((row) => !row.complies)];
}

// What stands in a cell; a value that it would show on the wrong side of a limit has more digits.
function besideLimits(row, name, text) {
  const metric = ["quality", "mean"].includes(name) ? quality.name : names.find((each) => column[each] === name);
  if (metric === undefined || row[name] === null) return text;
  const write = metric === quality.name ? alone : number, digits = digitsOf(metric, row[name], write);
  return digits === 4 ? text : text.replace(/^\S+/, write(row[name], digits));
}

function drawTable() {
  const goal = goalOf(), last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
  table.page = Math.min(table.page, last);
  const first = table.page * PAGE, shown = table.order.slice(first, first + PAGE);
  $("rows").replaceChildren(...shown.map((row) => {
    const verdict = row.best ? "★" : !row.complies ? "" : isSure(row) ? "✓" : "likely";
    const made = element("tr", row.best ? { class: "best" } : row.complies ? {} : { class: "dropped" });
    made.append(element("td", { class: "verdict" }, verdict), element("td", { class: "score" }, number(goal ? goal.scores[row.place] : null)));
    row.cells.forEach((text, i) => made.append(element("td", {}, besideLimits(row, cells[i], text))));
    return made;
  }));
  $("pages").hidden = last === 0;
  $("page-place").textContent = `${grouped(first + 1)} to ${grouped(first + shown.length)} of ${grouped(rows.length)}`;
  $("page-back").disabled = table.page === 0;
  $("page-on").disabled = table.page === last;
}

function buildTable() {
  tableWatcher.disconnect();
  tableWatcher.observe($("shapes"));
  const turn = (by) => () => {
    table.page += by;
    drawTable();
  };
  $("page-back").onclick = turn(-1);
  $("page-on").onclick = turn(1);
}
