// The page of one device: all its sensors, what is wrong, its signal, battery and missed frames over time.

import { element, find, shorten } from "/web/parts.js";
import { plot } from "/status/plot.js";
import { amount, breakable, fixLine, label, missed, signal, since, site, troubles, when } from "/status/site.js";

const FRESH_MS = 10 * 60 * 1000;
const MAX_PLOTS = 24;
const FEW_COMMANDS = 3;

let shown = null;
let trends = null;
let askedAt = 0;
let asked = 0;

const hours = () => document.querySelector("#hours input:checked").value;

function term(name, ...what) {
  return [element("dt", "", name), element("dd", "", ...what)];
}

function batteryText({ value, unit, told }) {
  return `${amount({ value, unit })}${told ? ` (unit by its ${told})` : ""}`;
}

function facts(device) {
  const list = term("Last seen", device.last ? since(device.last) : "not since lora-post started");
  const heard = signal(device);
  if (heard) list.push(...term("Signal", device.gateway ? `${heard}, at ${device.gateway}` : heard));
  for (const copy of device.copies ?? []) list.push(...term("Also heard", `${signal(copy) || "it does not say how"}, at ${copy.gateway}`));
  if (device.battery) list.push(...term("Battery", batteryText(device.battery)));
  if (device.heard) list.push(...term("Since the start", `${missed(device).text}`));
  const commands = (site.state.commands ?? []).filter((item) => item.device === device.id);
  for (const item of commands.slice(-FEW_COMMANDS)) list.push(...term(`Downlink ${item.id}`, item.step ? `${item.fate}, ${item.step}, ` : `${item.fate}, `, since(item.last || item.given)));
  list.push(...term("Id", element("span", "id", device.id)));
  return element("dl", "terms card", ...list);
}

function wrong(device) {
  const lines = troubles(device).map(({ what, fix }) => element("li", "bad", what, fixLine(fix)));
  if (!lines.length && device.problem) lines.push(element("li", "late", device.problem));
  return lines.length ? element("ul", "card signs", ...lines) : null;
}

// What payloads say of the device itself, such as its firmware: it stays open where a person has opened it.
function metadata(device) {
  const said = Object.entries(device.metadata ?? {});
  if (!said.length) return null;
  const lines = said.map(([name, value]) => element("li", "", `${shorten(name)}: ${shorten(String(value))}`));
  const details = element("details", "card metadata", element("summary", "", "About the device"), element("ul", "", ...lines));
  details.open = document.querySelector(".metadata")?.open ?? false;
  return details;
}

function sensors(device) {
  if (!device.sensors.length) return null;
  const head = element("tr", "", ...["Sensor", "Value", "Measured"].map((name) => element("th", "", name)));
  for (const cell of head.children) cell.scope = "col";
  const rows = device.sensors.map((sensor) => {
    const name = element("th", "", ...breakable(sensor.name));
    name.scope = "row";
    return element("tr", "", name, element("td", "latest", amount(sensor)), element("td", "quiet", sensor.time ? since(sensor.time) : ""));
  });
  const table = element("table", "card sensors", element("thead", "", head), element("tbody", "", ...rows));
  table.ariaLabel = "Latest values";
  return table;
}

// Means of the spool as [time, value]; the newest value, which is not there yet, goes to the end.
function points(values, latest) {
  const middle = trends.span / 2;
  const found = (values ?? []).flatMap((value, index) => (value === null ? [] : [[when(trends.times[index] + middle).getTime(), value]]));
  if (latest?.time && typeof latest.value === "number" && latest.time > trends.since) found.push([when(latest.time).getTime(), latest.value]);
  return found;
}

function plots(device) {
  const span = { since: when(trends.since).getTime(), until: Math.max(when(trends.until).getTime(), Date.now()) };
  const number = device.sensors.filter((sensor) => typeof sensor.value === "number").slice(0, MAX_PLOTS);
  const figures = number.map((sensor) => plot(sensor.name, amount(sensor), points(trends.sensors[sensor.name], sensor), span, { unit: sensor.unit }));
  for (const [name, key, unit] of [["Signal (RSSI)", "rssi", "dBm"], ["Signal (SNR)", "snr", "dB"]]) {
    const latest = { value: device[key], unit, time: device.last };
    const known = points(trends[key], latest);
    if (known.length) figures.push(plot(name, device[key] === undefined ? "" : amount(latest), known, span, { unit }));
  }
  const [lost, heard] = [trends.missed, trends.heard].map((all) => all.reduce((sum, many) => sum + many, 0));
  if (heard) figures.push(plot("Frames missed", `${lost} of ${lost + heard}`, points(trends.missed), span, { bars: true }));
  return figures;
}

async function load(device) {
  askedAt = Date.now();
  const turn = (asked += 1);
  const query = new URLSearchParams({ device: device.id, hours: hours() });
  const answer = await fetch(`/status/trends.json?${query}`).catch(() => null);
  if (turn !== asked) return;
  trends = answer?.ok ? await answer.json() : null;
  draw();
}

function draw() {
  const device = site.devices.get(shown);
  if (!device) return;
  find("device-facts").replaceChildren(...[wrong(device), facts(device), sensors(device), metadata(device)].filter(Boolean));
  if (trends) find("plots").replaceChildren(...plots(device));
  else find("plots").replaceChildren(element("p", "quiet", "the plots cannot be had at the moment"));
}

// Show a device, or what is new of the one that is shown. Returns its name, null for one that is not known.
export function showDevice(id) {
  const device = site.devices.get(id);
  find("device-name").textContent = device ? label(device) : site.state ? "There is no such device" : "";
  find("hours").hidden = !device;
  const isNew = id !== shown;
  shown = id;
  if (!device) {
    find("device-facts").replaceChildren();
    find("plots").replaceChildren();
    shown = null;
  } else if (isNew || Date.now() - askedAt > FRESH_MS) {
    if (isNew) trends = null;
    draw();
    if (isNew) find("plots").replaceChildren();
    load(device);
  } else {
    draw();
  }
  return device ? label(device) : null;
}

find("hours").addEventListener("change", () => load(site.devices.get(shown)));
