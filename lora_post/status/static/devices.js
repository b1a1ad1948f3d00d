// The list of devices: a row each, searched, filtered and sorted here.

import { element, find } from "/web/parts.js";
import { amount, label, since, site, take, troubles, worst } from "/status/site.js";

const KINDS = ["refused", "undecoded", "silent", "battery"]; // the worst first
const MORE = 500; // devices that are asked for together, once more than the first are looked for
const PART = 200; // rows that are shown together
const PATIENCE_MS = 15000;
const rows = new Map();
let room = PART;
let isLoading = false;

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
  const values = keyValues(device).flatMap((sensor) => [element("span", "key", element("span", "of", sensor.name), " ", element("b", "", amount(sensor)))]);
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
  const items = found.slice(0, room).map(row);
  find("more").hidden = found.length <= room && !site.next;
  // Rows do not move under a finger or the keyboard's focus.
  const isSame = items.length === list.children.length && items.every((item) => item.parentNode === list);
  const isOrdered = isSame && items.every((item, index) => list.children[index] === item);
  if (!isOrdered && !(isSame && list.contains(document.activeElement))) list.replaceChildren(...items);
  find("shown").textContent = found.length === site.total ? "" : `${found.length} of ${site.total} devices`;
}

// Ask for the next devices of many, or for all of them, because one is looked for.
export async function loadMore(isAll) {
  if (isLoading) return;
  isLoading = true;
  const { started } = site.state;
  try {
    do {
      const response = await fetch(`/status.json?limit=${MORE}&from=${site.next}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
      const page = await response.json();
      if (page.state.started !== started) break; // what is here is going to be replaced
      for (const device of page.devices) if ((site.devices.get(device.id)?.last ?? 0) <= (device.last ?? 0)) take(device);
      site.next = page.next;
    } while (isAll && site.next);
  } catch {
    // The stream ends as well, and says that there is no answer.
  }
  isLoading = false;
}

async function choose() {
  room = PART;
  showDevices();
  if (!site.next) return;
  await loadMore(true);
  showDevices();
}

async function showMore() {
  room += PART;
  if (site.next && room > site.devices.size) await loadMore(false);
  showDevices();
}

for (const event of ["input", "change"]) find("choose").addEventListener(event, choose);
find("more").addEventListener("click", showMore);
find("choose").addEventListener("submit", (event) => event.preventDefault());
