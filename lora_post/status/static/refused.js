// Refused frames, strangers whose frames are kept, and the form that makes a device of one.

import { element, find } from "/web/parts.js";
import { fixLine, signal, since, site } from "/status/site.js";

let strangers = [];
let canEdit = false;
let form = null; // of which stranger it is

function line(item) {
  const who = item.address ? `${item.check}, ${item.address}` : item.check;
  const times = item.count > 1 ? ` (${item.count.toLocaleString()} times)` : "";
  const links = [];
  if (item.address && item.isRecent) links.push(["its frames", `#/log/${encodeURIComponent(item.address)}`]);
  if (canEdit && strangers.some((stranger) => stranger.sender === item.address)) links.push(["make it a device", `#/add/${encodeURIComponent(item.address)}`]);
  const parts = [signal(item), ...links.map(([text, address]) => {
    const link = element("a", "", text);
    link.href = address;
    return link;
  })].filter(Boolean);
  return element(
    "li", "", element("span", "when", item.last ? since(item.last) : ""),
    element("span", "", element("span", "from refused", who), times, item.detail ? `: ${item.detail}` : ""),
    element("span", "more", ...parts.flatMap((part, index) => (index ? [" · ", part] : [part]))),
    fixLine(item.fix),
  );
}

function draw() {
  const heard = site.refused.map((item) => ({ ...item, isRecent: true }));
  const known = new Set(heard.map((item) => item.address));
  const before = strangers.filter((stranger) => !known.has(stranger.sender))
    .map((stranger) => ({ ...stranger, address: stranger.sender, count: stranger.heard, detail: "heard before lora-post was started" }));
  const lines = [...heard, ...before].map(line);
  find("refused").replaceChildren(...lines);
  find("refused").hidden = !lines.length;
  find("no-edit").hidden = canEdit;
  find("other-device").hidden = !canEdit;
}

export async function showRefused(isNew) {
  draw();
  if (!isNew) return;
  const answer = await fetch("/status/strangers.json").catch(() => null);
  if (!answer?.ok) return;
  ({ strangers, edit: canEdit } = await answer.json());
  draw();
}

// Which keys there are follows from the address: DevEUI, DevAddr, or that of a device without LoRaWAN.
function showFields() {
  const text = find("address").value.replace(/[\s:-]/g, "");
  const kind = /^[0-9]{1,3}$/.test(text) ? "lowcost" : text.length === 16 || /^LW:/i.test(find("address").value) ? "otaa" : "abp";
  const other = find("is-11").checked && kind !== "lowcost" ? "only-10" : "only-11";
  for (const label of document.querySelectorAll("#add label[class]")) label.hidden = !label.classList.contains(kind) || label.classList.contains(other);
}

export function showForm(address) {
  if (form !== address) {
    form = address;
    find("add").reset();
    find("tried").hidden = true;
    find("address").value = address;
  }
  showFields();
}

function told(answer) {
  const lines = [];
  const say = (kind, what, fix) => lines.push(element("p", kind, what, fix ? " " : "", fixLine(fix)));
  for (const { what, fix } of answer.mistakes ?? []) say("bad", what, fix);
  for (const line of answer.opened ?? []) say("good", line);
  if (answer.problem) say("bad", answer.problem.what, answer.problem.fix);
  const isTried = !answer.mistakes && !answer.opened && !answer.problem;
  if (isTried && !answer.written) say("quiet", "No frame of it was kept: nothing could be tried.");
  for (const { decoder, text } of answer.reads ?? []) say("quiet", `${decoder} reads ${text}`);
  if (answer.written) {
    const link = element("a", "", answer.id);
    link.href = `#/device/${encodeURIComponent(answer.id)}`;
    lines.push(element("p", "good", "Saved to ", element("code", "", answer.written), "; it is in use in a few seconds: ", link));
  } else if (answer.toml && !answer.reads) {
    lines.push(element("p", "quiet", "In the configuration, or in devices.toml beside it:"), element("pre", "", answer.toml));
  }
  return lines;
}

async function send(save) {
  const fields = {};
  for (const input of find("add").querySelectorAll("label:not([hidden]) input[name]")) if (input.value) fields[input.name] = input.value;
  const buttons = [find("try"), find("save")];
  for (const button of buttons) button.disabled = true;
  find("tried").hidden = false;
  find("tried").replaceChildren(element("p", "quiet", "Trying …"));
  const body = JSON.stringify({ address: find("address").value, fields, save });
  const answer = await fetch("/status/devices", { method: "POST", headers: { "Content-Type": "application/json" }, body }).catch(() => null);
  find("try").disabled = false;
  if (!answer?.ok) {
    find("tried").replaceChildren(element("p", "bad", answer ? await answer.text() : "lora-post does not answer."));
    return;
  }
  const found = await answer.json();
  find("tried").replaceChildren(...told(found));
  find("fitting").replaceChildren(...(found.reads ?? []).map(({ decoder }) => element("option", "", decoder)));
  if (found.reads?.length && !fields.decoder) find("add").elements.decoder.value = found.reads[0].decoder;
  // What was tried may be saved, once it has a decoder; when it makes no sense, the button says so.
  find("save").disabled = Boolean(found.mistakes || found.written) || !find("add").elements.decoder.value;
  find("save").textContent = found.problem ? "Save it all the same" : "Save the device";
}

find("address").addEventListener("input", showFields);
find("is-11").addEventListener("change", showFields);
find("add").addEventListener("input", () => { find("save").disabled = true; });
find("add").addEventListener("submit", (event) => {
  event.preventDefault();
  send(false);
});
find("save").addEventListener("click", () => send(true));
