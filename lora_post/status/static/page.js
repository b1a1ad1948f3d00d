// Everything that came by radio or over the network is put in with textContent or as a text node, never as markup.

import { ago, element, find, refreshAges, shorten, showLink, valueText } from "/web/parts.js";
import { plot, range } from "/status/plot.js";

const MAX_RECENT = 60;
const RETRY_MS = 5000;
const MANY = 0.1; // share of missed frames that is worth a colour
const CLOCK_SLACK_MS = 5000; // a smaller difference is the time that the message took
const POINT_MS = 15 * 60 * 1000;
const DEAF_MS = 75 * 1000; // the stream says something every 30 s

const devices = new Map();
let recent = [];
let refused = null;
let state = null;
let verdict = null;
let version = 0;
let clockBehind = 0;
let lostAt = 0;
let heardAt = 0;
let stream = null;

// Times are those of the gateway, whose clock may be wrong; ages are right all the same.
function since(gatewayTime) {
  const time = gatewayTime + clockBehind;
  const node = element("span", "");
  node.dataset.time = String(time);
  node.textContent = ago(Date.now() - time);
  node.title = new Date(time).toLocaleString();
  return node;
}

function number(value) {
  return Number.isInteger(value) ? value.toLocaleString() : String(Number(value.toPrecision(6)));
}

function latest(sensor) {
  const isNumber = typeof sensor.value === "number";
  const text = isNumber ? number(sensor.value) : sensor.value === null ? "?" : shorten(valueText(sensor.value));
  const unit = sensor.unit ? element("span", "unit", `\u00a0${sensor.unit}`) : null;
  return element("span", "latest", element("span", isNumber ? "value" : "value text", text || "(empty text)"), unit);
}

// Long names break where their words do.
function nameOf(sensor) {
  const words = sensor.name.split(/(?<=_)/);
  return element("span", "name", ...words.flatMap((word, index) => (index ? [element("wbr", ""), word] : [word])));
}

function sensorRow(device, sensor) {
  const hasDay = typeof sensor.value === "number";
  const line = sensor.day ? plot(sensor.day, { width: 100, height: 24, lines: 0 }) : element("span", "");
  const row = element(hasDay ? "button" : "div", "sensor", nameOf(sensor), latest(sensor), line);
  if (hasDay) {
    row.type = "button";
    row.title = "show the last day";
    row.addEventListener("click", () => showDay(device, sensor));
  }
  return element("li", "", row);
}

function facts(device) {
  const list = [];
  if (device.last) list.push(element("span", "", since(device.last)));
  else list.push(element("span", "late", "not heard since lora-post started"));
  if (device.rssi !== undefined) {
    const snr = device.snr === undefined ? "" : `, SNR ${number(Math.round(device.snr * 10) / 10)} dB`;
    list.push(element("span", "", `${number(device.rssi)} dBm${snr}`));
  }
  if (device.sf) list.push(element("span", "", `SF${device.sf}`));
  if (device.copies) {
    const others = device.copies.slice(0, 3).map((copy) => shorten(copy.gateway));
    list.push(element("span", "", `also heard by ${others.join(", ")}`));
  }
  if (device.battery) {
    list.push(element("span", "", `battery ${number(device.battery.value)} ${device.battery.unit ?? ""}`.trim()));
  }
  if (device.missed) {
    const sent = device.missed + device.heard;
    list.push(element("span", device.missed > MANY * sent ? "late" : "", `${device.missed} of ${sent} frames missed`));
  }
  return element("p", "facts list", ...list);
}

// What payloads say of the device itself, such as its firmware: open where a person has opened it.
const opened = new Set();
function metadata(device) {
  const said = Object.entries(device.metadata ?? {});
  if (!said.length) return null;
  const lines = said.map(([name, value]) => element("li", "", `${shorten(name)}: ${shorten(String(value))}`));
  const details = element("details", "metadata", element("summary", "", "about the device"), element("ul", "", ...lines));
  details.open = opened.has(device.id);
  details.addEventListener("toggle", () => (details.open ? opened.add(device.id) : opened.delete(device.id)));
  return details;
}

function deviceCard(device) {
  const head = element("div", "head", element("h3", "", device.name ?? device.id), device.name ? element("span", "id", device.id) : null);
  const problem = device.problem ? element("p", "problem", device.problem) : null;
  const sensors = element("ul", "sensors", ...device.sensors.map((sensor) => sensorRow(device, sensor)));
  return element("article", "card", head, facts(device), problem, sensors, metadata(device));
}

// What stands between backticks is a command: one click selects all of it, to be copied.
function fixLine(fix) {
  if (!fix) return null;
  const parts = fix.split("`").map((part, index) => (index % 2 ? element("code", "", part) : part));
  return fix.endsWith("?") ? element("span", "check", "check: ", ...parts) : element("span", "fix", "fix: ", ...parts);
}

function refusedLine(item) {
  const who = item.address ? `${item.check}, ${item.address}` : item.check;
  const times = item.count > 1 ? ` (${item.count} times)` : "";
  const text = element("span", "", element("span", "from refused", who), `${times}: ${item.detail}`);
  return element("div", "", element("span", "when", since(item.last)), text, fixLine(item.fix));
}

function recentLine(entry) {
  const heard = new Date(entry.time + clockBehind);
  const time = element("span", "when", heard.toLocaleTimeString());
  time.title = heard.toLocaleString();
  const name = entry.device && (devices.get(entry.device)?.name ?? entry.device);
  const from = element("span", name ? "from" : "from refused", name ?? "refused");
  return element("li", "", time, element("span", "", from, ` ${entry.text}`));
}

function part(title, lines, trouble) {
  return element(
    "article", "card", element("h3", "", title), trouble ? element("p", "trouble", trouble.what) : null, trouble?.fix ? element("p", "facts", fixLine(trouble.fix)) : null,
    ...lines.filter(Boolean).map((line) => element("p", "facts", ...[line].flat())),
  );
}

function count(amount, what) {
  return `${amount.toLocaleString()} ${what}${amount === 1 ? "" : "s"}`;
}

// What a packet forwarder tells of itself: packets received, those of them with a good CRC, share of answers that arrived.
function gatewayLine(gateway) {
  const stat = gateway.stat ?? {};
  const told = [];
  if (stat.rxnb !== undefined) told.push(`, ${number(stat.rxnb)} received`);
  if (stat.rxok !== undefined) told.push(`, ${number(stat.rxok)} with a good CRC`);
  if (stat.ackr !== undefined) told.push(`, ${number(stat.ackr)} % acknowledged`);
  return [`gateway ${gateway.name} `, since(gateway.last), ...told];
}

function parts() {
  const inputs = state.inputs.map((input) => part(
    `Input ${input.name}`,
    [input.last ? ["last frame ", since(input.last)] : "no frame yet", ...(input.gateways ?? []).map(gatewayLine)],
    input.trouble,
  ));
  const destinations = state.destinations.map((item) => part(
    `To ${item.name}`,
    [
      item.last ? ["last delivery ", since(item.last)] : "nothing delivered yet",
      item.queued ? [count(item.queued, "reading"), item.queued === 1 ? " waits" : " wait", ...(item.oldest ? [", the oldest ", since(item.oldest)] : [])] : "nothing waits",
      item.held ? `held back: ${item.held}` : null,
      item.parked ? `${count(item.parked, "reading")} of parked sensors: see lora-post spool` : null,
      item.refused ? `${count(item.refused, "reading")} rejected by the server: see lora-post spool` : null,
    ],
    item.trouble,
  ));
  const spool = part("Spool", [`${state.disk.spool || "less than 1"} MB used, ${state.disk.free} % of the disk free`]);
  const run = part("This run", [["started ", since(state.started)]]);
  return [...inputs, ...destinations, spool, run];
}

function lostText() {
  const since = new Date(lostAt).toLocaleTimeString();
  const problems = [{ what: `What is below is of ${since} or earlier.`, fix: "is it running: `systemctl status lora-post`, and can this device reach it?" }];
  return { kind: "bad", text: `lora-post does not answer since ${since}`, problems };
}

// Of a process that has died nothing is known any more: the headline, the title and the icon say so.
function showVerdict() {
  const { kind, text, problems = [] } = lostAt ? lostText() : verdict;
  find("verdict").className = `verdict ${kind}`;
  find("verdict-text").textContent = text;
  find("problems").replaceChildren(...problems.map(({ what, fix }) => element("li", "", what, fixLine(fix))));
  document.body.classList.toggle("lost", Boolean(lostAt));
  document.title = `${{ good: "✓", wait: "…", bad: lostAt ? "✗" : "!" }[kind]} ${state?.gateway ?? "lora-post"}${lostAt ? " does not answer" : ""}`;
  const dot = { good: "%231a7f5a", wait: "%23b07a00", bad: "%23b3261e" }[kind];
  find("icon").href = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='${dot}'/%3E%3C/svg%3E`;
}

function showLost() {
  stream?.close();
  stream = null;
  lostAt ||= Date.now();
  showLink("not connected", true);
  showVerdict();
  setTimeout(start, RETRY_MS);
}

function showFound() {
  heardAt = Date.now();
  if (!lostAt) return;
  lostAt = 0;
  showVerdict();
}

function showRefused() {
  find("refused-section").hidden = refused.length === 0;
  find("refused").replaceChildren(...refused.map(refusedLine));
}

function showState() {
  find("gateway").textContent = state.gateway;
  find("queued").textContent = state.destinations.reduce((sum, item) => sum + (item.queued ?? 0), 0).toLocaleString();
  find("parts").replaceChildren(...parts());
}

function showAll(changed) {
  const heard = [...devices.values()].filter((device) => device.last);
  find("device-count").textContent = `${heard.length} of ${devices.size}`;
  const last = Math.max(0, ...heard.map((device) => device.last));
  find("last-frame").replaceChildren(last ? since(last) : "–");
  find("device-section").hidden = devices.size === 0;
  for (const id of changed) {
    const card = deviceCard(devices.get(id));
    const old = cards.get(id);
    cards.set(id, card);
    if (old) {
      card.classList.add("fresh");
      old.replaceWith(card);
    } else {
      find("devices").append(card);
    }
  }
  find("recent-section").hidden = recent.length === 0;
  find("recent").replaceChildren(...recent.slice().reverse().map(recentLine));
  showState();
}

const cards = new Map();

// A changed device comes without its sensors' days; the newest value goes to the end of what is known.
function merge(device) {
  const known = new Map((devices.get(device.id)?.sensors ?? []).map((sensor) => [sensor.name, sensor]));
  for (const sensor of device.sensors ??= []) {
    const before = known.get(sensor.name);
    if (sensor.day || typeof sensor.value !== "number") continue;
    sensor.day = before?.day?.slice() ?? Array(96).fill(null);
    const steps = Math.floor(sensor.time / POINT_MS) - Math.floor((before?.time ?? sensor.time) / POINT_MS);
    if (steps > 0 && steps < 96) sensor.day = sensor.day.slice(steps).concat(Array(steps).fill(null));
    sensor.day[sensor.day.length - 1] = sensor.value;
  }
  devices.set(device.id, device);
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function apply(message) {
  version = message.v;
  for (const device of message.devices ?? []) merge(device);
  recent = recent.concat(message.recent ?? []).slice(-MAX_RECENT);
  if (message.now) clockBehind = Math.abs(Date.now() - message.now) < CLOCK_SLACK_MS ? 0 : Date.now() - message.now;
  if (message.state) state = message.state;
  // What is the same stays as it is: a text in it may be selected, to be copied.
  if (message.refused && !isSame(message.refused, refused)) {
    refused = message.refused;
    showRefused();
  }
  if (message.verdict && !isSame(message.verdict, verdict)) {
    verdict = message.verdict;
    showVerdict();
  }
  showAll((message.devices ?? []).map((device) => device.id));
}

async function showDay(device, sensor) {
  find("plot-title").textContent = `${device.name ?? device.id} – ${sensor.name}`;
  const query = new URLSearchParams({ device: device.id, sensor: sensor.name });
  const response = await fetch(`/status/day.json?${query}`).catch(() => null);
  const points = response?.ok ? await response.json() : sensor.day ?? [];
  const found = range(points);
  const unit = sensor.unit ? ` ${sensor.unit}` : "";
  find("plot-range").textContent = found ? `${number(found[0])} to ${number(found[1])}${unit}` : "no values";
  const hour = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  const day = points.length * POINT_MS;
  const axis = element("div", "axis", ...[1, 0.75, 0.5, 0.25, 0].map((share) => element("span", "", hour(Date.now() - share * day))));
  find("plot-area").replaceChildren(plot(points, { width: 480, height: 200, lines: 3 }), axis);
  find("plot").showModal();
}

async function start() {
  try {
    const response = await fetch("/status.json");
    if (!response.ok) throw new Error(`status ${response.status}`);
    const message = await response.json();
    devices.clear();
    cards.clear();
    find("devices").replaceChildren();
    recent = [];
    verdict = refused = null;
    apply(message);
    showFound();
    listen();
  } catch {
    showLost();
  }
}

function listen() {
  stream = new EventSource(`/status/live?since=${version}`);
  stream.addEventListener("open", () => showLink("live", false));
  stream.addEventListener("message", (event) => {
    showFound();
    if (event.data !== "0") apply(JSON.parse(event.data));
  });
  stream.addEventListener("error", showLost);
}

// A machine without power closes no connection: it is only silent.
function watch() {
  refreshAges();
  if (stream && Date.now() - heardAt > DEAF_MS) showLost();
}

setInterval(watch, 1000);
start();
