// The token goes as a header, so that neither an address nor a history has it; the answer is a cookie.

import { find } from "/web/parts.js";

find("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  find("answer").textContent = "";
  const headers = { Authorization: `Bearer ${find("token").value.trim()}` };
  const status = await fetch("/login", { headers }).then((answer) => answer.status, () => 0);
  if (status === 204) location.reload();
  else find("answer").textContent = status ? "That is not the token." : "No answer; a token has only plain letters, digits and signs.";
});

find("token").focus();
