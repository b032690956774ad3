// News of a page that is served: hears of changes, and fetches what has changed, at most once a second.

const SILENCE = 40_000; // milliseconds without a word, after which a stream is given up and begun anew

// Calls `told` with each piece of news. A stream that breaks, as when a laptop has slept, is begun again. A page that
// nobody sees hears nothing: browsers have six connections to a server at most, for all of its pages together.
function hear(told) {
  const place = document.getElementById("live-connection");
  let source = null, heard = 0;
  const connected = (is) => {
    heard = is ? Date.now() : heard;
    place.hidden = is;
    place.textContent = is ? "" : "Nobody answers: this page shows what was known last, and tries again.";
  };
  function end() {
    source?.close();
    source = null;
  }
  function begin() {
    end();
    source = new EventSource("events");
    heard = Date.now();
    source.addEventListener("message", (event) => (connected(true), told(JSON.parse(event.data))));
    source.addEventListener("beat", () => connected(true));
    source.addEventListener("error", () => connected(false));
  }
  function check() {
    if (document.hidden) end();
    else if (source === null || source.readyState === EventSource.CLOSED || Date.now() - heard > SILENCE) begin();
  }
  document.addEventListener("visibilitychange", check);
  addEventListener("online", check);
  setInterval(check, 5000);
  check();
}

// Returns a function that asks for the newest content: one request at a time, and with a pause as long as three of them
// take, so that a large report does not keep the processor from the search.
function fetching(name, take) {
  let busy = false, again = false;
  return async function ask() {
    if (busy) return void (again = true);
    busy = true;
    const began = performance.now();
    try {
      const answer = await fetch(name);
      if (answer.ok) take(await answer.json());
    } catch {
      again = true;
    }
    setTimeout(() => {
      busy = false;
      if (again) (again = false), ask();
    }, Math.max(1000, 3 * (performance.now() - began)));
  };
}
