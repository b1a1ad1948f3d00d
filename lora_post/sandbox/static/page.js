// Everything that came over the network is put in with textContent or as a text node, never as markup.

import {
  age, element, find, moment, refreshAges, shorten, showLink, valueText,
} from "/web/parts.js";

const OVERVIEW = "/sandbox/overview.json";
const PERIOD_MS = 2000;
const seen = new Map();

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
