// What is known of the site, and how it is said. Everything that came by radio or over the network is put in with
// textContent or as a text node, never as markup.

import { ago, element, shorten, valueText } from "/web/parts.js";

const MANY = 0.1; // share of missed frames that is worth a word
const ENOUGH = 10; // frames that make a share

// behind: ms by which this clock is ahead of the gateway's. lostAt: since when there is no answer, 0 while there is.
// Of many devices not all are here: total, heard: how many there are, and were heard; next: the first that was not asked for.
export const site = {
  devices: new Map(), total: 0, heard: 0, next: 0, refused: [], state: null, verdict: null, version: 0, behind: 0, lostAt: 0,
};

export const take = (device) => site.devices.set(device.id, { ...device, sensors: device.sensors ?? [], heard: device.heard ?? 0 });

export const label = (device) => device.name ?? device.id;
export const troubles = (device) => site.verdict?.devices?.[device.id] ?? [];
export const when = (gatewayTime) => new Date(gatewayTime + site.behind);

// Times are those of the gateway, whose clock may be wrong; ages are right all the same.
export function since(gatewayTime) {
  const time = when(gatewayTime);
  const node = element("span", "", ago(Date.now() - time));
  node.dataset.time = String(time.getTime());
  node.title = time.toLocaleString();
  return node;
}

export function number(value) {
  return Number.isInteger(value) ? value.toLocaleString() : String(Number(value.toPrecision(6)));
}

export function valueOf(sensor) {
  if (typeof sensor.value === "number") return number(sensor.value);
  return sensor.value === null ? "?" : shorten(valueText(sensor.value)) || "(empty text)";
}

export function amount(sensor) {
  return sensor.unit ? `${valueOf(sensor)}\u00a0${sensor.unit}` : valueOf(sensor);
}

// Long names break where their words do.
export function breakable(name) {
  return name.split(/(?<=_)/).flatMap((word, index) => (index ? [element("wbr", ""), word] : [word]));
}

export function count(many, what) {
  return `${many.toLocaleString()} ${what}${many === 1 ? "" : "s"}`;
}

export function signal({ rssi, snr, sf }) {
  const parts = [];
  if (rssi !== undefined) parts.push(`${number(rssi)} dBm`);
  if (snr !== undefined) parts.push(`SNR ${number(Math.round(snr * 10) / 10)} dB`);
  if (sf) parts.push(`SF${sf}`);
  return parts.join(", ");
}

export function missed(device) {
  const sent = (device.missed ?? 0) + device.heard;
  return { text: `${device.missed ?? 0} of ${sent} frames missed`, isMany: sent >= ENOUGH && device.missed > MANY * sent };
}

// What stands between backticks is a command: one click selects all of it, to be copied. What asks back is no fix.
export function fixLine(fix) {
  if (!fix) return null;
  const kind = fix.endsWith("?") ? "check" : "fix";
  const parts = fix.split("`").map((part, index) => (index % 2 ? element("code", "", part) : part));
  return element("span", kind, `${kind}: `, ...parts);
}

// The worst that is to be said of a device: what is wrong, else what is strange.
export function worst(device) {
  const [first, ...more] = troubles(device);
  if (first) return { kind: "bad", text: more.length ? `${first.what}; ${count(more.length, "more trouble")}` : first.what };
  if (!device.last) return { kind: "late", text: "not heard since lora-post started" };
  if (device.problem) return { kind: "late", text: device.problem };
  const { text, isMany } = missed(device);
  return isMany ? { kind: "late", text } : null;
}
