// The status page: what it is told, whether it works, and which view is shown.

import { element, find, refreshAges, showLink } from "/web/parts.js";
import { showDevice } from "/status/device.js";
import { loadMore, showDevices } from "/status/devices.js";
import { filterLog, forgetLog, showLog } from "/status/log.js";
import { showForm, showRefused } from "/status/refused.js";
import { count, fixLine, number, since, site, take } from "/status/site.js";

const RETRY_MS = 5000;
const PATIENCE_MS = 15000;
const FIRST = 100; // devices that are asked for at once
const CLOCK_SLACK_MS = 5000; // a smaller difference is the time that the message took
const DEAF_MS = 75 * 1000; // the stream says something every 30 s
const VIEWS = ["devices", "device", "log", "refused", "add", "gateway"];
const TABS = { devices: "", device: "", add: "refused" };
const PROBLEM_VIEWS = ["devices", "gateway"]; // elsewhere the headline is enough
const FEW = 2; // problems that take little room
const WIDE = 700; // of a screen that has room
const MARKS = { good: "✓", wait: "…", bad: "!", lost: "✗" };
const DOTS = { good: "1a7f5a", wait: "b07a00", bad: "b3261e", lost: "b3261e" };

let heardAt = 0;
let stream = null;
let view = "devices";
let subject = "";

function lostText() {
  const time = new Date(site.lostAt).toLocaleTimeString([], { hour12: false });
  const what = `Everything below is as it was at ${time}.`;
  const fix = "is lora-post running (`systemctl status lora-post`), and can this device reach it?";
  return { kind: "lost", text: `lora-post does not answer since ${time}`, problems: [{ what, fix }] };
}

// Of a process that has died nothing is known any more: headline, title and icon say so.
function showVerdict() {
  const { kind, text, problems = [] } = site.lostAt ? lostText() : site.verdict;
  find("verdict").className = `verdict ${kind}`;
  find("verdict-text").textContent = text;
  find("problems").replaceChildren(...problems.map(({ what, fix }) => element("li", "", what, fixLine(fix))));
  find("why-count").textContent = `What is wrong (${problems.length})`;
  find("why").hidden = !problems.length || (!site.lostAt && !PROBLEM_VIEWS.includes(view));
  if (problems.length <= FEW || innerWidth > WIDE) find("why").open = true;
  document.body.classList.toggle("lost", kind === "lost");
  const dot = `%3Ccircle cx='8' cy='8' r='6' fill='%23${DOTS[kind]}'/%3E`;
  find("icon").href = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E${dot}%3C/svg%3E`;
  showTitle();
}

function showTitle() {
  const kind = site.lostAt ? "lost" : site.verdict?.kind;
  const gateway = `${MARKS[kind] ?? "…"} ${site.state?.gateway ?? "lora-post"}`;
  document.title = [kind === "lost" ? `${gateway} does not answer` : gateway, subject].filter(Boolean).join(" – ");
}

function showLost() {
  stream?.close();
  stream = null;
  site.lostAt ||= Date.now();
  showLink("not connected", true);
  showVerdict();
  setTimeout(start, RETRY_MS);
}

function showFound() {
  heardAt = Date.now();
  if (!site.lostAt) return;
  site.lostAt = 0;
  showVerdict();
}

function part(title, lines, trouble) {
  return element(
    "article", "card", element("h3", "", title), trouble ? element("p", "trouble", trouble.what) : null,
    trouble?.fix ? element("p", "facts", fixLine(trouble.fix)) : null,
    ...lines.filter(Boolean).map((line) => element("p", "facts", ...[line].flat())),
  );
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
  const { state } = site;
  const inputs = state.inputs.map((input) => part(
    `Input ${input.name}`,
    [input.last ? ["last frame ", since(input.last)] : "no frame yet", ...(input.gateways ?? []).map(gatewayLine), input.more ? `and ${count(input.more, "gateway")} more` : null],
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
  const commands = (state.commands ?? []).map((item) => [`${item.id} for ${item.device}: ${item.fate}${item.step && item.step !== item.fate ? `, ${item.step}` : ""}, `, since(item.last || item.given)]);
  const airTime = (state.air_time ?? []).map((item) => [`gateway ${item.gateway} has used ${item.used} % of its air time at ${item.band}`, ...(item.more ? [`; more at ${new Date(item.more).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })}`] : [])]);
  const downlinks = commands.length || airTime.length ? [part("Downlinks", [...commands.reverse(), ...airTime])] : [];
  const fleet = (state.fleet ?? []).length ? [part("Fleet", state.fleet)] : [];
  const spool = part("Spool", [`${state.disk.spool || "less than 1"} MB used, ${state.disk.free} % of the disk free`]);
  return [...inputs, ...destinations, ...downlinks, ...fleet, spool, part("This run", [["started ", since(state.started)]])];
}

function showTotals() {
  const heard = [...site.devices.values()].filter((device) => device.last);
  const last = Math.max(0, ...heard.map((device) => device.last));
  find("last-frame").replaceChildren(last ? since(last) : "–");
  find("device-count").textContent = `${Math.max(heard.length, site.heard)} of ${site.total}`;
  find("queued").textContent = site.state.destinations.reduce((sum, item) => sum + (item.queued ?? 0), 0).toLocaleString();
  find("refused-count").textContent = site.refused.length ? `(${site.refused.length})` : "";
  find("gateway").textContent = site.state.gateway;
}

// What is the same stays as it is: a text in it may be selected, to be copied.
function apply(message) {
  const isNew = (name) => message[name] && JSON.stringify(message[name]) !== JSON.stringify(site[name]);
  const [isJudged, isRefused] = [isNew("verdict"), isNew("refused")];
  site.version = message.v;
  for (const device of message.devices ?? []) take(device);
  if (message.now) [site.total, site.heard] = [message.total, message.heard];
  if (message.now) site.behind = Math.abs(Date.now() - message.now) < CLOCK_SLACK_MS ? 0 : Date.now() - message.now;
  if (message.state) site.state = message.state;
  if (isRefused) site.refused = message.refused;
  if (isJudged) site.verdict = message.verdict;
  if (isJudged) showVerdict();
  showTotals();
  showView(message);
}

function showView(message) {
  const has = (id) => message.devices?.some((device) => device.id === id);
  if (view === "devices") showDevices();
  if (view === "device" && site.next && !site.devices.has(route().argument)) loadMore(true).then(() => showView({ now: 1 }));
  if (view === "device" && (message.now || message.verdict || has(route().argument))) subject = showDevice(route().argument) ?? "";
  if (view === "log" && (message.now || message.recent)) showLog();
  if (view === "refused" && (message.now || message.refused)) showRefused(Boolean(message.now));
  if (view === "add" && message.now) showForm(route().argument);
  if (view === "gateway") find("parts").replaceChildren(...parts());
  showTitle();
}

function route() {
  const [name, argument = ""] = location.hash.replace(/^#\/?/, "").split("/");
  return { name: VIEWS.includes(name) ? name : "devices", argument: safe(argument) };
}

function safe(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

function go(isFirst) {
  const { name, argument } = route();
  view = name;
  subject = "";
  for (const each of VIEWS) find(`view-${each}`).hidden = each !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${TABS[view] ?? view}`) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
  }
  if (view === "log") filterLog(argument);
  if (site.state) showView({ now: 1 });
  if (site.verdict) showVerdict();
  if (isFirst === true) return;
  scrollTo(0, 0);
  // Whoever uses a screen reader is told where they are.
  find(`view-${view}`).querySelector("h2").focus({ preventScroll: true });
}

async function start() {
  try {
    const known = site.state ? `&since=${site.version}&run=${site.state.started}` : "";
    const response = await fetch(`/status.json?limit=${FIRST}${known}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 403) return location.reload();
    if (!response.ok) throw new Error(`status ${response.status}`);
    const message = await response.json();
    if (!message.news) {
      site.devices.clear();
      site.next = message.next;
      forgetLog();
      site.verdict = null;
      site.refused = [];
    }
    apply(message);
    showFound();
    listen();
  } catch {
    showLost();
  }
}

function listen() {
  stream = new EventSource(`/status/live?since=${site.version}`);
  stream.addEventListener("open", () => showLink("live", false));
  stream.addEventListener("message", (event) => {
    showFound();
    if (event.data !== "0") apply(JSON.parse(event.data));
  });
  // It ends when everything is to be asked for again, too.
  stream.addEventListener("error", () => {
    stream?.close();
    stream = null;
    start();
  });
}

// A machine without power closes no connection: it is only silent.
function watch() {
  refreshAges();
  if (stream && Date.now() - heardAt > DEAF_MS) showLost();
}

addEventListener("hashchange", go);
go(true);
setInterval(watch, 1000);
start();
