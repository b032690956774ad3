// Draws the charts of a comparison. Vega interprets its expressions, since the content security policy forbids compiling them.
(async () => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : value);
  const tooltip = (row) => Object.entries(row ?? {}).map(([name, value]) => escape(`${name}: ${number(value)}`)).join("<br>");
  const options = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false,
                    tooltip: { disableDefaultStyle: true, formatTooltip: tooltip } };
  for (const { id, spec } of charts) {
    const place = document.getElementById(id);
    await vegaEmbed(place, spec, options);
    place.querySelector("svg").setAttribute("aria-hidden", "true"); // the element around it is described
  }
  document.body.dataset.state = "complete";
})();
