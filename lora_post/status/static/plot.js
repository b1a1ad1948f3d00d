// A day of one sensor as a line: numbers in, an SVG element out.

const SVG = "http://www.w3.org/2000/svg";
const GAP = 3; // times the usual distance

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

export function range(points) {
  const known = points.filter((point) => point !== null);
  return known.length ? [Math.min(...known), Math.max(...known)] : null;
}

// Steps between two points beyond which there is a gap: a device that sends every hour has no gaps.
function longest(points) {
  const places = points.flatMap((point, index) => (point === null ? [] : [index]));
  const steps = places.slice(1).map((place, index) => place - places[index]).sort((a, b) => a - b);
  return GAP * (steps[steps.length >> 1] ?? 1);
}

// One path; a point without neighbours is a dot, which a line of no length with round ends is.
function path(points, low, span, width, height) {
  let text = "";
  let last = -Infinity;
  const reach = longest(points);
  points.forEach((point, index) => {
    if (point === null) return;
    const x = ((index + 0.5) * width / points.length).toFixed(1);
    const y = (height - (point - low) * height / span).toFixed(1);
    text += index - last <= reach ? `L${x} ${y}` : `M${x} ${y}h0`;
    last = index;
  });
  return text;
}

export function plot(points, { width, height, lines }) {
  const svg = shape("svg", { viewBox: `0 -3 ${width} ${height + 6}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const found = range(points);
  for (let line = 0; line < lines; line += 1) {
    const y = lines > 1 ? line * height / (lines - 1) : height;
    svg.append(shape("line", { class: "grid", x1: 0, x2: width, y1: y, y2: y }));
  }
  if (found) {
    const [low, high] = found;
    const isFlat = high === low;
    svg.append(shape("path", {
      class: "line", d: path(points, isFlat ? low - 1 : low, isFlat ? 2 : high - low, width, height),
    }));
  }
  return svg;
}
