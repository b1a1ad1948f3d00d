// The list of devices: a row each, searched, filtered and sorted here.

import { element, find } from "/web/parts.js";
import { amount, label, since, site, troubles, worst } from "/status/site.js";

const KINDS = ["refused", "undecoded", "silent", "battery"]; // the worst first
const rows = new Map();

const last = Number.MAX_SAFE_INTEGER;
const rank = (device) => {
  const [first] = troubles(device);
  return first ? KINDS.indexOf(first.kind) : worst(device) ? KINDS.length : KINDS.length + 1;
};
const ORDERS = {
  trouble: rank,
  name: () => 0,
  last: (device) => -(device.last ?? 0),
  signal: (device) => device.rssi ?? last,
  battery: (device) => (device.battery ? device.battery.value / (device.battery.unit === "V" ? 3.6 : 100) : last),
};
const FILTERS = {
  "": () => true,
  trouble: (device) => troubles(device).length > 0,
  unheard: (device) => !device.last,
};

// Two values that tell most: quantities before other numbers before words; of the battery only its trouble.
function keyValues(device) {
  const order = (sensor) => (typeof sensor.value !== "number" ? 2 : sensor.unit ? 0 : 1);
  return device.sensors.filter((sensor) => !/^v?bat/i.test(sensor.name))
    .sort((one, other) => order(one) - order(other)).slice(0, 2);
}

function cells(device) {
  const sign = worst(device);
  const values = keyValues(device).flatMap((sensor) => [element("span", "key", sensor.name, " ", element("b", "", amount(sensor)))]);
  return [
    element("span", "name", label(device)),
    element("span", "seen", device.last ? since(device.last) : "never"),
    element("span", "keys", ...values.flatMap((value, index) => (index ? [" ", value] : [value]))),
    sign ? element("span", `sign ${sign.kind}`, sign.text) : null,
  ].filter(Boolean);
}

function row(device) {
  const says = JSON.stringify([device, troubles(device), site.behind]);
  let known = rows.get(device.id);
  if (!known) {
    const link = element("a", "row");
    link.href = `#/device/${encodeURIComponent(device.id)}`;
    known = { item: element("li", "", link), link, says: "" };
    rows.set(device.id, known);
  }
  if (known.says !== says) {
    known.says = says;
    known.link.replaceChildren(...cells(device));
  }
  return known.item;
}

function isFound(device, words) {
  const text = [device.id, label(device), ...device.sensors.map((sensor) => sensor.name)].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function showDevices() {
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = find("filter").value;
  const fits = FILTERS[kind] ?? ((device) => troubles(device).some((trouble) => trouble.kind === kind));
  const order = ORDERS[find("sort").value];
  const all = [...site.devices.values()];
  const found = all.filter((device) => fits(device) && isFound(device, words))
    .sort((one, other) => order(one) - order(other) || label(one).localeCompare(label(other), undefined, { numeric: true }));
  const list = find("devices");
  const items = found.map(row);
  // Rows do not move under a finger or the keyboard's focus.
  const isSame = items.length === list.children.length && items.every((item) => item.parentNode === list);
  const isOrdered = isSame && items.every((item, index) => list.children[index] === item);
  if (!isOrdered && !(isSame && list.contains(document.activeElement))) list.replaceChildren(...items);
  find("shown").textContent = found.length === all.length ? "" : `${found.length} of ${all.length} devices`;
}

for (const event of ["input", "change"]) find("choose").addEventListener(event, showDevices);
find("choose").addEventListener("submit", (event) => event.preventDefault());
