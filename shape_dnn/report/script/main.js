// The page: what is drawn when, and how it takes newer data while it is open.
//
// A page that is served, not mailed, can go on showing a search: fetch what `shape_dnn.report.page.content` returns, as
// JSON, and call `window.shapeDnn.update(content)`. It puts in every part of the page that has changed, and leaves the
// rest alone: what the viewer asked, where the focus is, what is unfolded, and the place that is in view stay. It waits
// while a pointer is pressed. `window.shapeDnn.content` is what is shown.

let later = 0, waiting = false, pressed = false, next = null;

// The question or the data changed: the answer at once, pictures with the next frame, charts when moves have ended.
function changed() {
  showAnswer(decide());
  clearTimeout(later);
  later = setTimeout(redraw, rows.length > MOST_POINTS ? 250 : 40);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (map.followed) map.chosen = rows.find((row) => row.best) ?? null;
    drawMap();
    showShape();
    renewTable();
  });
}

function build() {
  buildControls();
  buildMap();
  buildTable();
  buildCharts();
  changed();
}

function parsed(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  return made.content;
}

const known = new Map(); // of each part of the page its HTML as it was written, before anything was drawn in it

function remember(parts) {
  known.clear();
  for (const part of parts) known.set(part.id, part.outerHTML);
}

function update(content) {
  if (pressed) return void (next = content);
  next = null;
  const { id: focused, value: text, selectionStart: at } = document.activeElement ?? {};
  const place = [scrollX, scrollY];
  const open = [...document.querySelectorAll("details[open]")].map((each) => each.id);
  const main = document.querySelector("main"), wanted = [...parsed(content.main).children];
  const texts = new Map(wanted.map((part) => [part.id, part.outerHTML]));
  for (const part of [...main.children]) if (!texts.has(part.id)) part.remove();
  wanted.forEach((part, i) => {
    const own = $(part.id);
    if (own && known.get(part.id) === texts.get(part.id)) part = own;
    else own?.remove();
    if (main.children[i] !== part) main.insertBefore(part, main.children[i] ?? null);
  });
  known.clear();
  for (const [id, text] of texts) known.set(id, text);
  document.querySelector("header").replaceChildren(parsed(content.header));
  document.title = content.title;
  window.shapeDnn.content = content;
  take(content.data);
  build();
  if (document.body.dataset.state === "complete" && names.length > 1) drawFront(); // `start` draws it before that
  for (const id of open) if ($(id)) $(id).open = true;
  if (focused && $(focused) && document.activeElement?.id !== focused) {
    $(focused).focus({ preventScroll: true });
    if (at !== null && at !== undefined) {
      $(focused).value = text; // half a number, perhaps
      $(focused).setSelectionRange(at, at);
    }
  }
  scrollTo(...place);
}

window.shapeDnn = { update, content: null };
addEventListener("pointerdown", () => (pressed = true), true);
for (const name of ["pointerup", "pointercancel"]) {
  addEventListener(name, () => {
    pressed = false;
    if (next) setTimeout(() => next && update(next));
  }, true);
}
addEventListener("resize", () => requestAnimationFrame(drawMap));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);
for (const [name, printing] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(name, () => {
    map.printing = printing;
    drawMap();
    table.visible = true;
    if (table.stale) renewTable();
    renewCharts(views);
  });
}

async function start() {
  remember(document.querySelector("main").children);
  take(JSON.parse($("data").textContent));
  build();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  document.body.dataset.state = "ready"; // the answer, the map and the table are there
  if (names.length > 1) await drawFront();
  document.body.dataset.state = "complete";
}

start();
