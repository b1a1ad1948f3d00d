// What all pages are made of. Everything that came by radio or over the network is put in with textContent
// or as a text node, never as markup.

const MAX_TEXT = 160;

export const find = (id) => document.getElementById(id);

export function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export function shorten(text) {
  return text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) + "…" : text;
}

export function ago(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const units = [["s", 60], ["min", 60], ["h", 24], ["d", Infinity]];
  let amount = Math.abs(seconds);
  for (const [unit, size] of units) {
    if (amount < size) return seconds < 0 ? `in\u00a0${amount}\u00a0${unit}` : `${amount}\u00a0${unit}\u00a0ago`;
    amount = Math.floor(amount / size);
  }
  return "";
}

export function refreshAges() {
  for (const node of document.querySelectorAll("[data-time]")) {
    node.textContent = ago(Date.now() - Number(node.dataset.time));
  }
}

export function age(text) {
  const node = element("span", "");
  node.dataset.time = String(Date.parse(text));
  node.textContent = ago(Date.now() - Date.parse(text));
  return node;
}

// The full time in the reader's own zone and habit; the tooltip keeps what the server says.
export function moment(text) {
  const time = new Date(text);
  const habit = { dateStyle: "medium", timeStyle: "medium" };
  const node = element("time", "", Number.isNaN(time.getTime()) ? text : time.toLocaleString(undefined, habit));
  node.dateTime = text;
  node.title = text;
  return node;
}

// A flat object, such as a position, reads better without braces and quotes.
export function valueText(value) {
  if (typeof value === "string") return value;
  const entries = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  const flat = entries.length > 0 && entries.every(([, item]) => item === null || typeof item !== "object");
  return flat ? entries.map(([key, item]) => `${key} ${item}`).join(", ") : JSON.stringify(value);
}

export function showLink(text, lost) {
  find("link").textContent = text;
  find("link").classList.toggle("lost", lost);
}
