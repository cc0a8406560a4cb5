// Fills the page.

const at = (id, inside) => document.querySelector(inside ? `#${id} ${inside}` : `#${id}`);
const manifest = data.manifest;
const scenario = (key) => {
  const found = new RegExp(`^${key}\\s*=\\s*"((?:[^"\\\\]|\\\\.)*)"`, "m").exec(manifest.scenario.text);
  return found ? found[1] : "";
};

at("name").textContent = manifest.scenario.name;
at("about").textContent = scenario("about");
at("facts").textContent = [
  `${manifest.replications} replications, seeds from ${manifest.seed}`,
  `${span(manifest.duration_us / 1e6)} each`,
  `warm-up ${span(manifest.warm_up_us / 1e6)}`,
  manifest.overrides.length ? `changed: ${manifest.overrides.join(", ")}` : "as the file says",
].join(" · ");
const assumptions = manifest.assumes;
if (assumptions.length === 0) at("assumes").remove();
assumptions.forEach((text) => at("assumes", "ul").append(element("li", {}, text)));

function means() {
  const table = at("means", "table");
  const shown = data.units.filter(([name]) => data.protocols.some((protocol) => protocol.measures.some((measure) => measure.name === name)));
  const head = element("tr", {}, element("th", {}, "measure"));
  data.protocols.forEach((protocol) => head.append(element("th", {}, protocol.name)));
  table.append(element("thead", {}, head));
  const body = element("tbody");
  const cell = (mean) => {
    const filled = element("td", {}, mean ? number(mean.mean, 4) : "–");
    if (mean) filled.append(element("small", {}, mean.ci95 === null ? `n=${mean.n}, no interval` : `± ${number(mean.ci95, 2)}, n=${mean.n}`));
    return filled;
  };
  for (const [name, unit] of shown) {
    const row = element("tr", {}, element("th", {}, name, element("small", {}, unit)));
    for (const protocol of data.protocols) row.append(cell(protocol.measures.find((measure) => measure.name === name)?.mean));
    body.append(row);
  }
  if (data.protocols.length > 1) {
    const row = element("tr", {}, element("th", {}, "Δ delivery_prob", element("small", {}, `paired with ${data.protocols[0].name}`)));
    for (const protocol of data.protocols) row.append(cell(protocol.against_first));
    body.append(row);
  }
  table.append(body);
}

const curves = (of, x) => data.protocols.map((protocol, place) => ({ name: protocol.name, colour: colour(place), x, y: of(protocol).mean, half: of(protocol).half }));

function delay() {
  at("delay-note").textContent = `Kaplan–Meier estimate over messages written after the warm-up. A message that was not delivered is censored, not lost: it counts as undelivered for as long as it was watched, that is to the end of the run${manifest.ttl_us ? ` or its ${span(manifest.ttl_us / 1e6)} of life` : ""}. Band: 95 % interval over replications.`;
  const reached = data.delays_s.filter((_, place) => data.protocols.some((protocol) => protocol.delay.mean[place] > 0.001));
  const longest = data.delays_s[data.delays_s.length - 1];
  const first = Math.max(data.delays_s[0], (reached[0] ?? data.delays_s[0]) / 1.3);
  const draw = (log) => lines(at("delay", ".chart"), { label: "Delay distribution", curves: curves((protocol) => protocol.delay, data.delays_s), log, xRange: log ? [Math.min(first, longest / 10), longest] : [0, longest], yMax: 1, xTitle: "delay", yTitle: "share delivered", yText: (y) => number(y) });
  choice(at("delay", ".tools"), ["logarithmic", "linear"], (picked) => draw(picked === 0));
  draw(true);
}

const seconds = data.times_us.map((micros) => micros / 1e6);

function delivered() {
  lines(at("delivered", ".chart"), { label: "Delivery ratio over time", curves: curves((protocol) => protocol.delivered, seconds), log: false, xRange: [0, end / 1e6], yMax: 1, shade: [0, manifest.warm_up_us / 1e6], xTitle: "time since the begin of the run; shaded: warm-up", yTitle: "share delivered", yText: (y) => number(y) });
}

function byClass() {
  const classes = [...new Set(data.protocols.flatMap((protocol) => protocol.bytes.map((part) => part.name)))].sort();
  const rows = data.protocols.map((protocol) => {
    const total = protocol.measures.find((measure) => measure.name === "bytes")?.mean;
    return { name: protocol.name, parts: protocol.bytes.map((part) => ({ name: part.name, value: part.mean.mean })), total: total?.mean ?? 0, half: total?.ci95 };
  });
  bars(at("bytes", ".chart"), rows, classes);
}

function held() {
  const draw = (of, title, text) => {
    const most = Math.max(1, ...data.protocols.flatMap((protocol) => of(protocol).mean.map((mean, place) => mean + (of(protocol).half[place] ?? 0))));
    lines(at("held", ".chart"), { label: title, curves: curves(of, seconds), log: false, xRange: [0, end / 1e6], yMax: most * 1.05, xTitle: "time since the begin of the run", yTitle: title, yText: text });
  };
  const kinds = [[(protocol) => protocol.held_messages, "messages held", number], [(protocol) => protocol.held_bytes, "bytes held", bytes]];
  choice(at("held", ".tools"), ["messages", "bytes"], (picked) => draw(...kinds[picked]));
  draw(...kinds[0]);
}

const names = story.journeys.map((journey) => journey.protocol);
const stateOfSpace = { protocol: Math.max(0, names.indexOf("epidemic")), axis: hasPlaces ? 0 : 2 };
const stateOfMap = { protocol: Math.max(0, names.indexOf("epidemic")), now: 0, playing: false, speed: 1 };

function preferred(list) {
  list.value = String(stateOfSpace.protocol);
}

function space() {
  at("space-note").textContent = "First replication: the twelve delivered messages with the longest ways among those shown, each from its writer's hands (the line begins shortly before the first hand-over) along those who carried it to its reader. Dots are hand-overs, large ones deliveries; thin lines are machines.";
  const tools = at("space", ".tools"), canvas = at("space", "canvas");
  const draw = () => spaceTime(canvas, stateOfSpace);
  select(tools, "protocol", names, (picked) => { stateOfSpace.protocol = picked; draw(); });
  preferred(tools.querySelector("select"));
  if (hasPlaces) choice(tools, ["east", "north", "lanes"], (picked) => { stateOfSpace.axis = picked; draw(); });
  draw();
  return draw;
}

function map() {
  const tools = at("map", ".tools"), canvas = at("map", "canvas");
  const play = element("button", { type: "button" }, "Play");
  const scrub = element("input", { type: "range", min: 0, max: 1000, value: 0, "aria-label": "time" });
  const time = element("span", { class: "clock" });
  const count = element("span", { class: "note" });
  const draw = () => {
    const { passed, delivered } = motion(canvas, stateOfMap);
    time.textContent = clock(stateOfMap.now);
    scrub.value = String(Math.round((stateOfMap.now / end) * 1000));
    count.textContent = `${passed} hand-overs, ${delivered} of them deliveries`;
  };
  let last = 0;
  const step = (wall) => {
    if (!stateOfMap.playing) return;
    // A whole run in 60 seconds.
    stateOfMap.now += ((wall - last) / 60000) * end * stateOfMap.speed;
    last = wall;
    if (stateOfMap.now >= end) { stateOfMap.now = end; stateOfMap.playing = false; play.textContent = "Play"; }
    draw();
    requestAnimationFrame(step);
  };
  play.addEventListener("click", () => {
    stateOfMap.playing = !stateOfMap.playing;
    play.textContent = stateOfMap.playing ? "Pause" : "Play";
    if (stateOfMap.now >= end) stateOfMap.now = 0;
    last = performance.now();
    if (stateOfMap.playing) requestAnimationFrame(step);
  });
  scrub.addEventListener("input", () => { stateOfMap.now = (Number(scrub.value) / 1000) * end; draw(); });
  select(tools, "protocol", names, (picked) => { stateOfMap.protocol = picked; draw(); });
  preferred(tools.querySelector("select"));
  tools.append(play, scrub, time, count);
  select(tools, "speed", ["1 ×", "¼ ×", "4 ×"], (picked) => { stateOfMap.speed = [1, 0.25, 4][picked]; });
  const left = story.journeys.map((journey) => `${journey.protocol} ${number(journey.left_out)}`).join(", ");
  at("map-note").textContent = `First replication. ${story.machines.length} machines are shown${story.machines_left_out ? ` (${number(story.machines_left_out)} left out)` : ""}; ${hasPlaces ? "those that are not in space stand in a row above the map" : "nobody is in space, so they stand on a circle by group, relays inside"}. Contacts left out: ${number(story.contacts_left_out)}. Hand-overs left out: ${left}.`;
  const entries = story.groups.map((name, place) => ({ name, colour: colour(place) }));
  at("map-legend").replaceChildren(...legend(entries).children, element("em", {}, "▬ handed over"), element("em", {}, "◯ delivered"));
  // Not an empty picture to begin with.
  stateOfMap.now = end / 4;
  draw();
  return draw;
}

function provenance() {
  at("scenario-text").textContent = manifest.scenario.text;
  const list = at("manifest-list");
  const program = manifest.program;
  const entries = [
    ["program", `${program.name} ${program.version}, ${program.rustc}`],
    ["commit", program.commit ? program.commit + (program.modified ? " (with changes)" : "") : "unknown"],
    ["scenario, BLAKE3", manifest.scenario.blake3],
    ["overrides", manifest.overrides.join("  ") || "none"],
    ["seed", String(manifest.seed)],
    ["schema version", String(manifest.schema_version)],
  ];
  for (const [title, text] of entries) list.append(element("dt", {}, title), element("dd", {}, text));
}

means(); delay(); delivered(); byClass(); held(); provenance();
const redraw = [space(), map()];
addEventListener("resize", () => redraw.forEach((draw) => draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw.forEach((draw) => draw()));
