"use strict";

// Everything that came over the network is put in with textContent or as a text node, never as markup.

const OVERVIEW = "/sandbox/overview.json";
const PERIOD_MS = 2000;
const MAX_TEXT = 160;
const find = (id) => document.getElementById(id);
const seen = new Map();

function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

function shorten(text) {
  return text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) + "…" : text;
}

function ago(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const units = [["s", 60], ["min", 60], ["h", 24], ["d", Infinity]];
  let amount = Math.abs(seconds);
  for (const [unit, size] of units) {
    if (amount < size) return seconds < 0 ? `in\u00a0${amount}\u00a0${unit}` : `${amount}\u00a0${unit}\u00a0ago`;
    amount = Math.floor(amount / size);
  }
  return "";
}

function refreshAges() {
  for (const node of document.querySelectorAll("[data-time]")) {
    node.textContent = ago(Date.now() - Number(node.dataset.time));
  }
}

function age(text) {
  const node = element("span", "");
  node.dataset.time = String(Date.parse(text));
  node.textContent = ago(Date.now() - Date.parse(text));
  return node;
}

// The full time in the reader's own zone and habit; the tooltip keeps what the server says.
function moment(text) {
  const time = new Date(text);
  const habit = { dateStyle: "medium", timeStyle: "medium" };
  const node = element("time", "", Number.isNaN(time.getTime()) ? text : time.toLocaleString(undefined, habit));
  node.dateTime = text;
  node.title = text;
  return node;
}

function tag(visibility) {
  return visibility === "private" ? element("span", "tag private", "private") : element("span", "tag", "public");
}

function ownerText(owner) {
  return owner === undefined ? "no owner" : `owner ${owner}`;
}

function gatewayCard(gateway, deviceCount) {
  const devices = deviceCount === 1 ? "1 device" : `${deviceCount} devices`;
  const facts = element("p", "facts", `${ownerText(gateway.owner)} · ${devices}`);
  if (gateway.date_modified) facts.append(" · last sign of life ", age(gateway.date_modified));
  const head = element("div", "head", element("h3", "", gateway.name || gateway.id), tag(gateway.visibility));
  const id = gateway.name ? element("span", "id", gateway.id) : null;
  return element("article", "card", head, id, facts);
}

// A flat object, such as a position, reads better without braces and quotes.
function valueText(value) {
  if (typeof value === "string") return value;
  const entries = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  const flat = entries.length > 0 && entries.every(([, item]) => item === null || typeof item !== "object");
  return flat ? entries.map(([key, item]) => `${key} ${item}`).join(", ") : JSON.stringify(value);
}

function valueNodes(sensor) {
  if (!sensor.value) return [element("span", "none", "no value yet")];
  const value = sensor.value.value;
  const isNumber = typeof value === "number";
  const text = valueText(value);
  const node = element("span", isNumber ? "value" : "value text", shorten(text) || "(empty text)");
  if (!isNumber) node.title = JSON.stringify(value);
  const unit = sensor.unit_label ?? sensor.unit;
  return unit && typeof value !== "object" ? [node, element("span", "unit", ` ${unit}`)] : [node];
}

function timeNodes(sensor) {
  if (!sensor.value) return [element("span", "none dash", "–")];
  const time = sensor.value.timestamp;
  return time
    ? [age(time), element("span", "sub", moment(time))]
    : [age(sensor.value.date_received), element("span", "sub", "reception; no time was sent")];
}

function sensorRow(device, sensor) {
  const kind = sensor.kind_label ?? sensor.sensor_kind;
  const quantity = sensor.quantity_label ?? sensor.quantity_kind;
  const named = sensor.name && sensor.name !== sensor.id;
  const name = [named ? sensor.name : sensor.id, named ? element("span", "sub id", sensor.id) : null];
  const described = kind || quantity
    ? [kind ?? "", quantity ? element("span", "sub", quantity) : null]
    : [element("span", "none dash", "–")];
  const row = element(
    "tr", "",
    element("td", "sensor", ...name),
    element("td", "kind", ...described),
    element("td", "latest", ...valueNodes(sensor)),
    element("td", "time", ...timeNodes(sensor)),
    element("td", "count", sensor.received.toLocaleString()),
  );
  const key = JSON.stringify([device.id, sensor.id]);
  if (seen.has(key) && seen.get(key) < sensor.received) row.className = "fresh";
  seen.set(key, sensor.received);
  return row;
}

function headCell(text, className) {
  const cell = element("th", className, text);
  cell.scope = "col";
  return cell;
}

function sensorTable(device) {
  const head = element(
    "tr", "", headCell("Sensor"), headCell("Kind, quantity"), headCell("Latest value"), headCell("Measured"),
    headCell("Received", "count"),
  );
  const rows = device.sensors.map((sensor) => sensorRow(device, sensor));
  return element("table", "", element("thead", "", head), element("tbody", "", ...rows));
}

function deviceCard(device) {
  const head = element("div", "head", element("h3", "", device.name || device.id), tag(device.visibility));
  const id = device.name ? element("span", "id", device.id) : null;
  const gateway = device.gateway_id === undefined ? "no gateway" : `gateway ${device.gateway_id}`;
  const facts = element("p", "facts", `${ownerText(device.owner)} · ${gateway}`);
  if (device.date_modified) facts.append(" · changed ", age(device.date_modified));
  const table = device.sensors.length ? sensorTable(device) : element("p", "quiet", "This device has no sensors.");
  const actuators = device.actuators.map((actuator) => `${actuator.id} = ${shorten(JSON.stringify(actuator.value ?? null))}`);
  const commands = actuators.length ? element("p", "facts", `actuators: ${actuators.join(", ")}`) : null;
  return element("article", "card", head, id, facts, table, commands);
}

function show(overview) {
  const { gateways, devices, device_count: deviceCount, received } = overview;
  const perGateway = new Map();
  for (const device of devices) perGateway.set(device.gateway_id, (perGateway.get(device.gateway_id) ?? 0) + 1);
  find("gateway-count").textContent = gateways.length.toLocaleString();
  find("device-count").textContent = deviceCount.toLocaleString();
  find("value-count").textContent = received.toLocaleString();
  find("empty").hidden = gateways.length + deviceCount > 0;
  find("gateway-section").hidden = gateways.length === 0;
  find("device-section").hidden = deviceCount === 0;
  find("gateways").replaceChildren(...gateways.map((gateway) => gatewayCard(gateway, perGateway.get(gateway.id) ?? 0)));
  find("devices").replaceChildren(...devices.map(deviceCard));
  find("more").hidden = deviceCount <= devices.length;
  find("more").textContent = `The ${devices.length} devices that changed last are shown, of ${deviceCount}.`;
}

function showLink(text, lost) {
  find("link").textContent = text;
  find("link").classList.toggle("lost", lost);
}

let shown = null;

async function poll() {
  try {
    const response = await fetch(OVERVIEW);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const tagNow = response.headers.get("ETag");
    if (tagNow === null || tagNow !== shown) {
      show(await response.json());
      shown = tagNow;
    }
    showLink("live", false);
  } catch {
    showLink("the sandbox does not answer", true);
  }
  setTimeout(poll, PERIOD_MS);
}

find("api-url").textContent = `${location.origin}/api/v2`;
setInterval(refreshAges, 1000);
poll();
