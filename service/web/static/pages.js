// What every page needs beyond htmx: keys that reach what the mouse reaches, and a mark for when a page can be used.
"use strict";

document.addEventListener("keydown", (event) => {
  // A focused hint closes with Escape, as one under the mouse does by moving away.
  if (event.key === "Escape" && document.activeElement?.classList.contains("why")) document.activeElement.blur();
});
window.addEventListener("DOMContentLoaded", () => performance.mark("headroom-interactive"));
