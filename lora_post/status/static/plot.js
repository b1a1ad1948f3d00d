// Numbers over time as a figure: a line or bars, with axes.

import { element } from "/web/parts.js";
import { number } from "/status/site.js";

const SVG = "http://www.w3.org/2000/svg";
const GAP = 3; // times the usual distance
const WIDTH = 480;
const HEIGHT = 120;
const DAY_MS = 24 * 3600 * 1000;

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

// What lies between two points of a device that is not silent: one that sends every hour has no gaps.
function longest(points) {
  const steps = points.slice(1).map(([time], index) => time - points[index][0]).sort((a, b) => a - b);
  return GAP * (steps[steps.length >> 1] ?? 1);
}

// One path; a point without neighbours is a dot, which a line of no length with round ends is.
function line(points, place) {
  const reach = longest(points);
  let before = -Infinity;
  return points.map(([time, value]) => {
    const [x, y] = place(time, value);
    const step = time - before <= reach ? `L${x} ${y}` : `M${x} ${y}h0`;
    before = time;
    return step;
  }).join("");
}

function timeText(time, { since, until }) {
  const date = new Date(time);
  if (until - since < 2 * DAY_MS) return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  return date.toLocaleDateString([], { day: "numeric", month: "short" });
}

// points: [time in ms, value], oldest first. span: {since, until}. bars: of what is counted from 0; else a line.
export function plot(title, latest, points, span, { unit = "", bars = false } = {}) {
  const values = points.map(([, value]) => value);
  const head = element("figcaption", "", element("h3", "", title), element("span", "value", latest));
  if (!points.length) return element("figure", "card plot", head, element("p", "quiet", "nothing in this time"));
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const [low, high] = bars ? [0, Math.max(max, 1)] : max > min ? [min, max] : [min - 1, max + 1];
  const x = (time) => ((time - span.since) * WIDTH / (span.until - span.since)).toFixed(1);
  const y = (value) => (HEIGHT - (value - low) * HEIGHT / (high - low)).toFixed(1);
  const svg = shape("svg", { viewBox: `0 -3 ${WIDTH} ${HEIGHT + 6}`, preserveAspectRatio: "none", role: "img" });
  const suffix = unit ? ` ${unit}` : "";
  svg.setAttribute("aria-label", `${title}: ${number(min)} to ${number(max)}${suffix}`);
  for (const part of [0, 0.5, 1]) svg.append(shape("line", { class: "grid", x1: 0, x2: WIDTH, y1: part * HEIGHT, y2: part * HEIGHT }));
  for (const part of [0, 0.25, 0.5, 0.75, 1]) svg.append(shape("line", { class: "grid", x1: part * WIDTH, x2: part * WIDTH, y1: 0, y2: HEIGHT }));
  const path = bars
    ? points.filter(([, value]) => value).map(([time, value]) => `M${x(time)} ${HEIGHT}V${y(value)}`).join("")
    : line(points, (time, value) => [x(time), y(value)]);
  svg.append(shape("path", { class: bars ? "line bars" : "line", d: path || `M0 ${HEIGHT}h0` }));
  const scale = element("div", "scale", ...[high, (low + high) / 2, low].map((value) => element("span", "", number(Number(value.toPrecision(4))))));
  const times = element("div", "axis", ...[0, 0.25, 0.5, 0.75, 1].map((part) => element("span", "", timeText(span.since + part * (span.until - span.since), span))));
  scale.ariaHidden = times.ariaHidden = "true";
  return element("figure", "card plot", head, element("div", "field", scale, svg, times));
}
