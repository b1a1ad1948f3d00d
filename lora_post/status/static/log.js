// The log of frames: the latest some hundred, filtered here and saved as CSV or JSON.

import { element, find } from "/web/parts.js";
import { label, number, signal, site, when } from "/status/site.js";

const MAX_LOG = 500;
const PART = 30;
const COLUMNS = ["time", "device", "address", "gateway", "rssi", "snr", "sf", "fcnt", "fport", "payload", "phy_payload", "check", "text"];

let frames = [];
let newest = 0;
let room = PART;
let isAsking = false;

const nameOf = (frame) => (frame.device ? label(site.devices.get(frame.device) ?? { id: frame.device }) : frame.address || "refused");

function chosen() {
  const words = find("log-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = find("log-kind").value;
  return frames.filter((frame) => {
    if (kind && (kind === "refused") !== Boolean(frame.check)) return false;
    const text = `${nameOf(frame)} ${Object.values(frame).join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }).reverse();
}

function line(frame) {
  const time = element("span", "when", when(frame.time).toLocaleTimeString([], { hour12: false }));
  time.title = when(frame.time).toLocaleString();
  const facts = [signal(frame)];
  if (frame.fcnt !== undefined) facts.push(`FCnt ${number(frame.fcnt)}`);
  if (frame.fport !== undefined) facts.push(`FPort ${frame.fport}`);
  if (frame.gateway) facts.push(frame.gateway);
  const payload = frame.payload ?? frame.phy_payload;
  return element(
    "li", "", time,
    element("span", "", element("span", frame.device ? "from" : "from refused", nameOf(frame)), ` ${frame.text}`),
    element("span", "more", facts.filter(Boolean).join(" · "), payload ? element("code", "payload", payload) : null),
  );
}

function draw() {
  const found = chosen();
  find("log").replaceChildren(...found.slice(0, room).map(line));
  find("log").hidden = !found.length;
  find("log-more").hidden = found.length <= room;
  find("log-count").textContent = found.length === frames.length ? `${frames.length} frames` : `${found.length} of ${frames.length} frames`;
}

// Show what there is, and ask for what came since.
export async function showLog() {
  draw();
  if (isAsking) return;
  isAsking = true;
  const answer = await fetch(`/status/log.json?since=${newest}`).catch(() => null);
  isAsking = false;
  const more = answer?.ok ? await answer.json() : [];
  if (!more.length) return;
  newest = more.at(-1).n;
  frames = frames.concat(more).slice(-MAX_LOG);
  draw();
}

// A run that was started again numbers its frames from the start.
export function forgetLog() {
  frames = [];
  newest = 0;
}

export function filterLog(text) {
  if (!text) return;
  find("log-search").value = text;
  find("log-kind").value = "";
}

// A spreadsheet would take a text that begins like this for a formula.
function cell(value) {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function rows() {
  return chosen().map(({ n, time, ...frame }) => ({ time: when(time).toISOString(), ...frame }));
}

function save(name, type, text) {
  const link = element("a", "");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${site.state?.gateway ?? "lora-post"}-frames.${name}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function csv() {
  return [COLUMNS, ...rows().map((row) => COLUMNS.map((name) => row[name] ?? ""))].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function again() {
  room = PART;
  draw();
}

for (const event of ["input", "change"]) find("log-choose").addEventListener(event, again);
find("log-choose").addEventListener("submit", (event) => event.preventDefault());
find("log-more").addEventListener("click", () => {
  room += PART;
  draw();
});
find("csv").addEventListener("click", () => save("csv", "text/csv", csv()));
find("json").addEventListener("click", () => save("json", "application/json", JSON.stringify(rows(), null, 1)));
