// The answer, first and large.

function headline({ complying, best }) {
  const limited = question.limits.some((limit) => limit.value !== null);
  if (best) {
    const is = best.quality === null ? " is predicted to be " : " is ";
    const has = best.quality === null ? " is predicted to have " : " has ";
    return [`The ${superlative()}`, ...(limited ? [" that ", ...limitsInWords()] : []),
            overview.layers ? is : has, ...shapeInWords(best), "."];
  }
  if (!complying.length) return ["No network ", ...(limited ? limitsInWords() : ["has a value"]), "."];
  const many = complying.length > 1, are = many ? "are" : "is";
  if (!limited && complying.length === rows.length) {
    return [strong(many ? `All ${grouped(rows.length)} networks` : "The only network"), ` ${are} possible: no limit is set.`];
  }
  const others = rows.length - complying.length > 1 ? "the others" : "the other one";
  const some = strong(`${grouped(complying.length)} of ${counted(rows.length, "network")}`);
  if (!limited) return [some, ` ${are} possible: ${others} came to no result when trained.`];
  return [some, " ", ...limitsInWords(many), "."];
}

function lede({ complying, best }) {
  if (best) return factsInWords(best);
  if (!complying.length) {
    const near = closest();
    return near ? ["Closest comes the one of ", strong(`depth ${near.depth}, width ${near.fraction}`), ". ", ...factsInWords(near)] : [];
  }
  if (question.goal) return ["No shape that complies has a value for the goal."];
  const front = rows.filter((row) => row.on_front).length;
  const both = names.length > 1 && front ? [`${grouped(front)} of them ${front === 1 ? "is the best trade-off" : "are the best trade-offs"} of ${listed(question.front).join("")}. `] : [];
  return [...both, "Choose a goal to have one network called the best."];
}

function countInWords({ complying }) {
  const predicted = complying.filter((row) => row.quality === null && row.mean !== null);
  const likely = predicted.filter((row) => !isSure(row)).length;
  const unknown = complying.filter((row) => row.expected === null).length;
  const who = likely < predicted.length ? `and ${grouped(likely)}` : `so ${likely === 1 ? "it" : "they"}`;
  const sure = predicted.length ? `; the ${quality.name} of ${grouped(predicted.length)} of them is only predicted` +
    (likely ? `, ${who} ${likely === 1 ? "complies" : "comply"} likely, but not surely` : "") : "";
  const rest = unknown ? `; the ${quality.name} of ${grouped(unknown)} of them is not known` : "";
  return `${complying.length ? "" : "Nothing complies: "}${grouped(complying.length)} of ${grouped(rows.length)} shapes comply${sure}${rest}.`;
}

function showAnswer(answer) {
  const { best } = answer;
  const { trained, twice } = overview.cost;
  const lines = [element("p", { class: "headline" }, ...headline(answer)), element("p", { class: "lede" }, ...lede(answer))];
  const effort = `${grouped(trained)} of ${counted(rows.length, "network")} ${trained === 1 ? "was" : "were"} trained` +
    `${twice ? `, ${grouped(twice)} of them twice` : ""}. ${countInWords(answer)}`;
  const small = element("p", { class: "small" });
  if (best) small.append(element("span", { id: "best" }, `depth ${best.depth}, width ${best.fraction}`), " · ");
  small.append(effort);
  lines.push(small);
  const made = element("div", {}, ...lines);
  if ($("answer").innerHTML !== made.innerHTML) $("answer").replaceChildren(...lines); // what stays is not read out again
  const goal = goalOf();
  const command = [...commandLine(), ...(goal ? [goal.flag] : [])].join(" ");
  if ($("command").textContent !== command) [$("command").textContent, $("copy").textContent] = [command, "Copy"];
  const exported = overview.export && best && best.quality !== null;
  $("export-place").hidden = !exported;
  $("export-place").replaceChildren(...(exported ? ["Its network as files: ",
    element("code", { id: "export" }, `${overview.export} --shape ${best.depth},${best.fraction}`)] : []));
  showFront();
}

function showFront() {
  if (!$("front")) return; // there is no metric beside the quality
  const isThere = question.front.length > 0;
  $("front-command").textContent = isThere ? [...commandLine(), "--pareto", word(question.front.join(","))].join(" ") : "";
  $("front-command").parentElement.hidden = !isThere;
  const front = rows.filter((row) => row.on_front);
  const more = front.length > 40 ? ` and ${grouped(front.length - 40)} more` : "";
  $("front-shapes").textContent = !isThere ? "" : front.length ?
    `On the front: ${front.slice(0, 40).map((row) => row.name).join("; ")}${more}` : "No shape is on the front.";
}
