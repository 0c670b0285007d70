// What every page needs beyond htmx: keys that reach what the mouse reaches, and a mark for when a page can be used.
"use strict";

document.addEventListener("keydown", (event) => {
  // A focused hint closes with Escape, as one under the mouse does by moving away.
  if (event.key === "Escape" && document.activeElement?.classList.contains("why")) document.activeElement.blur();
});
document.addEventListener("keydown", (event) => {
  // Whoever is not sure leaves with Escape, and is where he was.
  const asked = event.key === "Escape" && event.target.closest?.("details.sure[open]");
  if (!asked) return;
  asked.open = false;
  asked.querySelector("summary").focus();
});
// What was sent once is not sent again by a second click, which would also end the answer to the first.
const RESEND_MS = 8000;
const sent = new Set();
const release = (form) => {
  sent.delete(form);
  for (const button of form.querySelectorAll("[data-sending]")) {
    button.removeAttribute("data-sending");
    button.removeAttribute("aria-disabled");
  }
};
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  sent.add(form);
  if (event.submitter) {
    event.submitter.setAttribute("data-sending", "");
    event.submitter.setAttribute("aria-disabled", "true");
  }
  setTimeout(release, RESEND_MS, form);
});
// A browser that goes back shows the page as it was left.
window.addEventListener("pageshow", () => [...sent].forEach(release));
window.addEventListener("DOMContentLoaded", () => performance.mark("headroom-interactive"));
