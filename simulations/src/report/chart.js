"use strict";
// Charts as inline SVG. Texts become text nodes only.

const SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("data").textContent);

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function drawn(name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const colour = (place) => `var(--c${place % 8})`;

function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return Number(value.toPrecision(digits)).toString();
}

function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  while (Math.abs(value) >= 1000 && place < units.length - 1) { value /= 1000; place += 1; }
  return `${number(value)} ${units[place]}`;
}

function span(seconds) {
  const size = Math.abs(seconds);
  const trim = (value) => Number(value.toPrecision(3)).toString();
  if (size === 0) return "0";
  if (size < 1) return `${trim(seconds * 1000)} ms`;
  if (size < 120) return `${trim(seconds)} s`;
  if (size < 7200) return `${trim(seconds / 60)} min`;
  if (size < 172800) return `${trim(seconds / 3600)} h`;
  return `${trim(seconds / 86400)} d`;
}

function clock(micros) {
  const all = Math.floor(micros / 1e6);
  const two = (value) => String(value).padStart(2, "0");
  const days = Math.floor(all / 86400);
  const time = `${two(Math.floor(all / 3600) % 24)}:${two(Math.floor(all / 60) % 60)}:${two(all % 60)}`;
  return days > 0 ? `day ${days + 1}, ${time}` : time;
}

// Round steps for a linear axis.
function ticks(low, high, wanted) {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at);
  return found;
}

// Times want steps of minutes, hours and days.
const TIME_STEPS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800, 604800];
function timeTicks(high, wanted) {
  const step = TIME_STEPS.find((candidate) => high / candidate <= wanted) ?? high / wanted;
  const found = [];
  for (let at = 0; at <= high * 1.0001; at += step) found.push(at);
  return found;
}

const LOG_TIMES = [0.01, 0.1, 1, 10, 60, 600, 3600, 21600, 86400, 604800, 2592000];

// One label form a whole axis: all in the unit of the greatest.
function timeLabel(high) {
  const [unit, size] = high >= 172800 * 2 ? ["d", 86400] : high >= 7200 ? ["h", 3600] : high >= 120 ? ["min", 60] : high >= 1 ? ["s", 1] : ["ms", 0.001];
  return { unit, text: (seconds) => Number((seconds / size).toPrecision(4)).toString() };
}

// curves: [{name, colour, x: [], y: [], half: []}]
function lines(host, options) {
  const width = 960, height = 380;
  const edge = { left: 74, right: 16, top: 12, bottom: 50 };
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.label });
  const [low, high] = options.xRange;
  const top = options.yMax;
  const place = options.log
    ? (x) => (Math.log(Math.max(x, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))
    : (x) => (x - low) / (high - low);
  const across = (x) => edge.left + place(x) * (width - edge.left - edge.right);
  const up = (y) => height - edge.bottom - Math.min(1, Math.max(0, y / top)) * (height - edge.top - edge.bottom);
  for (const y of ticks(0, top, 5)) {
    svg.append(drawn("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: up(y), y2: up(y) }));
    svg.append(drawn("text", { x: edge.left - 8, y: up(y) + 4, "text-anchor": "end" }, options.yText(y)));
  }
  const label = timeLabel(high);
  const marks = options.log ? LOG_TIMES.filter((at) => at >= low && at <= high * 1.001) : timeTicks(high, 10);
  for (const x of marks) {
    svg.append(drawn("line", { class: "grid", x1: across(x), x2: across(x), y1: edge.top, y2: height - edge.bottom }));
    svg.append(drawn("text", { x: across(x), y: height - edge.bottom + 18, "text-anchor": "middle" }, options.log ? span(x) : label.text(x)));
  }
  if (options.shade) {
    const [from, until] = options.shade.map(across);
    if (until > from) {
      svg.append(drawn("rect", { x: from, width: until - from, y: edge.top, height: height - edge.top - edge.bottom, fill: "var(--quiet)", opacity: 0.12 }));
    }
  }
  for (const curve of options.curves) {
    const points = curve.x.map((x, at) => ({ x, y: curve.y[at], half: curve.half[at] })).filter((point) => point.y !== null && point.x >= low);
    if (points.length === 0) continue;
    const path = (of) => points.map((point, at) => `${at ? "L" : "M"}${across(point.x).toFixed(1)} ${up(of(point)).toFixed(1)}`).join("");
    if (points.some((point) => point.half)) {
      const back = points.slice().reverse().map((point) => `L${across(point.x).toFixed(1)} ${up(point.y - (point.half ?? 0)).toFixed(1)}`).join("");
      svg.append(drawn("path", { class: "band", fill: curve.colour, d: `${path((point) => point.y + (point.half ?? 0))}${back}Z` }));
    }
    svg.append(drawn("path", { class: "curve", stroke: curve.colour, d: path((point) => point.y) }));
  }
  svg.append(drawn("path", { class: "axis", d: `M${edge.left} ${edge.top}V${height - edge.bottom}H${width - edge.right}` }));
  const xTitle = options.log ? `${options.xTitle} (logarithmic)` : `${options.xTitle} (${label.unit})`;
  svg.append(drawn("text", { x: (edge.left + width - edge.right) / 2, y: height - 10, "text-anchor": "middle" }, xTitle));
  svg.append(drawn("text", { x: 16, y: (height - edge.bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 16 ${(height - edge.bottom) / 2})` }, options.yTitle));
  host.replaceChildren(svg, legend(options.curves));
}

function legend(entries) {
  const list = element("div", { class: "legend" });
  for (const entry of entries) list.append(element("span", { style: `--of:${entry.colour}` }, entry.name));
  return list;
}

// rows: [{name, parts: [{name, value}], total, half}]
function bars(host, rows, classes) {
  const width = 960, line = 38, edge = { left: 150, right: 150, top: 6, bottom: 44 };
  const height = edge.top + rows.length * line + edge.bottom;
  const most = Math.max(1, ...rows.map((row) => row.total + (row.half ?? 0)));
  const across = (value) => edge.left + (value / most) * (width - edge.left - edge.right);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Bytes by class" });
  for (const x of ticks(0, most, 6)) {
    svg.append(drawn("line", { class: "grid", x1: across(x), x2: across(x), y1: edge.top, y2: height - edge.bottom }));
    svg.append(drawn("text", { x: across(x), y: height - edge.bottom + 18, "text-anchor": "middle" }, bytes(x)));
  }
  rows.forEach((row, at) => {
    const y = edge.top + at * line;
    svg.append(drawn("text", { x: edge.left - 10, y: y + line / 2 + 4, "text-anchor": "end" }, row.name));
    let from = 0;
    for (const part of row.parts) {
      svg.append(drawn("rect", { x: across(from), y: y + 7, width: Math.max(0, across(from + part.value) - across(from)), height: line - 14, fill: colour(classes.indexOf(part.name)) }));
      from += part.value;
    }
    if (row.half) {
      const middle = y + line / 2;
      svg.append(drawn("path", { class: "axis", d: `M${across(Math.max(0, row.total - row.half))} ${middle}H${across(row.total + row.half)}` }));
    }
    svg.append(drawn("text", { x: across(row.total + (row.half ?? 0)) + 8, y: y + line / 2 + 4 }, bytes(row.total)));
  });
  svg.append(drawn("path", { class: "axis", d: `M${edge.left} ${edge.top}V${height - edge.bottom}H${width - edge.right}` }));
  svg.append(drawn("text", { x: (edge.left + width - edge.right) / 2, y: height - 8, "text-anchor": "middle" }, "bytes on the wire"));
  host.replaceChildren(svg, legend(classes.map((name, at) => ({ name, colour: colour(at) }))));
}

function choice(host, names, picked) {
  const buttons = names.map((name, at) => {
    const button = element("button", { type: "button", "aria-pressed": at === 0 ? "true" : "false" }, name);
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      picked(at);
    });
    host.append(button);
    return button;
  });
}

function select(host, title, names, picked) {
  const list = element("select", { "aria-label": title });
  names.forEach((name, at) => list.append(element("option", { value: at }, name)));
  list.addEventListener("change", () => picked(Number(list.value)));
  host.append(element("label", {}, `${title} `, list));
}
