// The two canvases: space against time, and the network in motion.

const story = data.story;
const end = data.manifest.duration_us;

// Pixels of the screen, colours of the present scheme.
function prepared(canvas, ratio) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = Math.round(width * ratio);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, 'Noto Sans Thai', Loma, sans-serif";
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(name).trim();
  return { context, width, height, ink: named("--ink"), quiet: named("--quiet"), line: named("--line"), paper: named("--paper"), of: (place) => named(`--c${place % 8}`) };
}

const hasPlaces = story.positions.length > 0;

// Bounds of everything that is in space.
function bounds() {
  let box = null;
  for (const row of story.positions) {
    for (const place of row) {
      if (!place) continue;
      if (!box) box = [place[0], place[0], place[1], place[1]];
      box = [Math.min(box[0], place[0]), Math.max(box[1], place[0]), Math.min(box[2], place[1]), Math.max(box[3], place[1])];
    }
  }
  return box;
}
const box = hasPlaces ? bounds() : null;

// Where a machine is at a moment, between two samples.
function placeOf(machine, micros) {
  const every = story.times[1] - story.times[0] || 1;
  const at = Math.min(micros / every, story.positions.length - 1);
  const before = story.positions[Math.floor(at)]?.[machine];
  const after = story.positions[Math.ceil(at)]?.[machine] ?? before;
  if (!before) return null;
  const share = at - Math.floor(at);
  return [before[0] + (after[0] - before[0]) * share, before[1] + (after[1] - before[1]) * share];
}

// Messages with the most hand-overs first: they have a way to show.
function journeys(protocol, wanted) {
  const byMessage = new Map();
  for (const move of story.journeys[protocol]?.moves ?? []) {
    if (!byMessage.has(move[3])) byMessage.set(move[3], []);
    byMessage.get(move[3]).push(move);
  }
  return [...byMessage.values()]
    .filter((moves) => moves.some((move) => move[4] === 1))
    .map(wayToReader)
    .sort((one, other) => other.length - one.length)
    .slice(0, wanted);
}

// Of all copies, the one that arrived first: back from the delivery to the writer.
function wayToReader(moves) {
  const last = moves.findIndex((move) => move[4] === 1);
  const way = [moves[last]];
  for (let at = last - 1; at >= 0; at -= 1) {
    if (moves[at][2] === way[0][1]) way.unshift(moves[at]);
  }
  return way;
}

function spaceTime(canvas, state) {
  const view = prepared(canvas, 0.56);
  const { context, width, height } = view;
  const edge = { left: 130, right: 14, top: 10, bottom: 44 };
  const ways = journeys(state.protocol, 12);
  const across = (micros) => edge.left + (micros / end) * (width - edge.left - edge.right);
  const inSpace = hasPlaces && state.axis < 2;
  let up;
  context.strokeStyle = view.line;
  context.fillStyle = view.quiet;
  context.textAlign = "right";
  context.textBaseline = "middle";
  if (inSpace) {
    const [low, high] = state.axis === 0 ? [box[0], box[1]] : [box[2], box[3]];
    const room = Math.max(1, high - low);
    const floor = height - edge.bottom - 22;
    const lift = (metres) => floor - ((metres - low) / room) * (floor - edge.top - 8);
    up = (machine, micros) => {
      const place = placeOf(machine, micros);
      return place ? lift(place[state.axis]) : height - edge.bottom - 6;
    };
    const large = room > 5000;
    for (const metres of ticks(low, high, 6)) {
      context.beginPath(); context.moveTo(edge.left, lift(metres)); context.lineTo(width - edge.right, lift(metres)); context.stroke();
      context.fillText(number(large ? metres / 1000 : metres, 4), edge.left - 8, lift(metres));
    }
    if (story.positions[0].some((place) => !place)) context.fillText("not in space", edge.left - 8, height - edge.bottom - 6);
    // Those who carry something, and a few others, as thin lines.
    const shown = new Set(ways.flat().flatMap((move) => [move[1], move[2]]));
    context.globalAlpha = 0.35;
    for (const machine of shown) {
      context.strokeStyle = view.of(story.machines[machine].group);
      context.beginPath();
      story.times.forEach((micros, at) => {
        if (!story.positions[at]?.[machine]) return;
        const y = up(machine, micros);
        if (at === 0) context.moveTo(across(micros), y); else context.lineTo(across(micros), y);
      });
      context.stroke();
    }
    context.globalAlpha = 1;
    axisTitle(view, edge, `${state.axis === 0 ? "east" : "north"} (${large ? "km" : "m"})`);
  } else {
    const machines = [...new Set(ways.flat().flatMap((move) => [move[1], move[2]]))].sort((one, other) => one - other);
    const lane = new Map(machines.map((machine, at) => [machine, at]));
    const step = (height - edge.top - edge.bottom) / Math.max(1, machines.length);
    up = (machine) => edge.top + (lane.get(machine) + 0.5) * step;
    const every = Math.max(1, Math.ceil(13 / step));
    machines.forEach((machine, at) => {
      context.strokeStyle = view.line;
      context.beginPath(); context.moveTo(edge.left, up(machine)); context.lineTo(width - edge.right, up(machine)); context.stroke();
      if (at % every === 0) context.fillText(story.machines[machine].name, edge.left - 8, up(machine), edge.left - 14);
    });
  }
  context.textAlign = "center";
  const label = timeLabel(end / 1e6);
  for (const seconds of timeTicks(end / 1e6, 10)) {
    const x = across(seconds * 1e6);
    context.strokeStyle = view.line;
    context.beginPath(); context.moveTo(x, edge.top); context.lineTo(x, height - edge.bottom); context.stroke();
    context.fillText(label.text(seconds), x, height - edge.bottom + 14);
  }
  context.fillText(`time (${label.unit})`, (edge.left + width - edge.right) / 2, height - 10);
  ways.forEach((way, at) => {
    context.strokeStyle = context.fillStyle = view.of(at);
    context.lineWidth = 2;
    way.forEach((move, step) => {
      const [micros, from, to] = move;
      // Carried from where it was taken, then handed over.
      const since = step > 0 ? way[step - 1][0] : Math.max(0, micros - end / 60);
      context.beginPath();
      const samples = 24;
      for (let part = 0; part <= samples; part += 1) {
        const when = since + ((micros - since) * part) / samples;
        if (part === 0) context.moveTo(across(when), up(from, when)); else context.lineTo(across(when), up(from, when));
      }
      context.lineTo(across(micros), up(to, micros));
      context.stroke();
      context.beginPath();
      context.arc(across(micros), up(to, micros), move[4] ? 4.5 : 2.5, 0, 7);
      context.fill();
    });
    context.lineWidth = 1;
  });
  if (ways.length === 0) {
    context.fillStyle = view.quiet;
    context.fillText("no message that is shown was delivered", width / 2, height / 2);
  }
}

function axisTitle(view, edge, title) {
  const { context, height } = view;
  context.save();
  context.translate(16, (height - edge.bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(title, 0, 0);
  context.restore();
}

// A place on the canvas for every machine: on the map, in the strip above it, or on the circle.
function layout(view, micros) {
  const { width, height } = view;
  const count = story.machines.length;
  if (!hasPlaces) {
    const order = story.machines.map((machine, at) => at).sort((one, other) => story.machines[one].group - story.machines[other].group || one - other);
    const places = new Array(count);
    order.forEach((machine, at) => {
      const angle = (at / count) * 2 * Math.PI - Math.PI / 2;
      const relay = story.machines[machine].relay;
      const radius = Math.min(width, height) * (relay ? 0.16 : 0.42);
      places[machine] = [width / 2 + radius * Math.cos(angle) * 1.5, height / 2 + radius * Math.sin(angle)];
    });
    return places;
  }
  const strip = story.positions[0].some((place) => !place) ? 44 : 8;
  const room = [Math.max(1, box[1] - box[0]), Math.max(1, box[3] - box[2])];
  const scale = Math.min((width - 60) / room[0], (height - strip - 52) / room[1]);
  const left = (width - room[0] * scale) / 2;
  const nowhere = story.machines.map((machine, at) => at).filter((at) => !story.positions[0][at]);
  return story.machines.map((machine, at) => {
    const place = placeOf(at, micros);
    if (place) return [left + (place[0] - box[0]) * scale, height - 30 - (place[1] - box[2]) * scale];
    return [((nowhere.indexOf(at) + 1) * width) / (nowhere.length + 1), 13 + 18 * (nowhere.indexOf(at) % 2)];
  });
}

function scaleBar(view) {
  if (!hasPlaces) return;
  const { context, width, height } = view;
  const strip = story.positions[0].some((place) => !place) ? 44 : 8;
  const room = [Math.max(1, box[1] - box[0]), Math.max(1, box[3] - box[2])];
  const scale = Math.min((width - 60) / room[0], (height - strip - 52) / room[1]);
  const power = 10 ** Math.floor(Math.log10(180 / scale));
  const metres = [5, 2, 1].map((factor) => factor * power).find((length) => length <= 180 / scale);
  context.strokeStyle = context.fillStyle = view.quiet;
  context.beginPath(); context.moveTo(16, height - 12); context.lineTo(16 + metres * scale, height - 12); context.stroke();
  context.textAlign = "left";
  context.fillText(metres >= 1000 ? `${number(metres / 1000)} km` : `${number(metres)} m`, 22 + metres * scale, height - 12);
}

const groupSizes = story.groups.map((_, group) => story.machines.filter((machine) => machine.group === group).length);

function motion(canvas, state) {
  const view = prepared(canvas, 0.6);
  const { context } = view;
  const now = state.now;
  const places = layout(view, now);
  const flight = end / 90;
  context.textBaseline = "middle";
  context.strokeStyle = view.quiet;
  context.globalAlpha = 0.35;
  for (const [up, down, a, b] of story.contacts) {
    if (up > now + flight / 4) break;
    if (Math.max(down, up + flight / 4) < now) continue;
    context.beginPath(); context.moveTo(...places[a]); context.lineTo(...places[b]); context.stroke();
  }
  context.globalAlpha = 1;
  // Those of small groups last and larger: boats and relays are what one looks for.
  const marked = (machine) => machine.relay || groupSizes[machine.group] <= 12;
  const order = story.machines.map((_, at) => at).sort((one, other) => marked(story.machines[one]) - marked(story.machines[other]));
  for (const at of order) {
    const machine = story.machines[at];
    const [x, y] = places[at];
    context.fillStyle = view.of(machine.group);
    context.beginPath();
    if (machine.relay) context.rect(x - 6, y - 6, 12, 12); else context.arc(x, y, marked(machine) ? 5.5 : story.machines.length > 120 ? 2.6 : 4, 0, 7);
    context.fill();
    if (marked(machine) || story.machines.length <= 30) {
      context.fillStyle = view.ink;
      context.textAlign = x > view.width - 110 ? "right" : "left";
      context.fillText(machine.name, x > view.width - 110 ? x - 10 : x + 10, y);
    }
  }
  let passed = 0, delivered = 0;
  for (const [micros, from, to, , arrived] of story.journeys[state.protocol]?.moves ?? []) {
    if (micros > now) break;
    passed += 1;
    delivered += arrived;
    if (micros < now - flight) continue;
    const share = (now - micros) / flight;
    const [x, y] = [places[from][0] + (places[to][0] - places[from][0]) * share, places[from][1] + (places[to][1] - places[from][1]) * share];
    context.fillStyle = view.ink;
    context.strokeStyle = arrived ? view.ink : view.paper;
    context.lineWidth = arrived ? 2 : 1;
    context.beginPath();
    if (arrived) context.arc(x, y, 7, 0, 7); else context.rect(x - 4, y - 3, 8, 6);
    if (!arrived) context.fill();
    context.stroke();
    context.lineWidth = 1;
  }
  scaleBar(view);
  return { passed, delivered };
}
