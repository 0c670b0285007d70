// The form: shows the fields of the alternative that is chosen, marks wrong fields, fills in suggestions, and keeps
// what was typed for as long as the tab is open.
"use strict";

(() => {
  const form = () => document.getElementById("question");
  const draftKey = () => `headroom-draft-${form().dataset.draft}`;

  const showChosen = () => {
    for (const radio of form().querySelectorAll(".alternatives input:checked")) {
      for (const part of radio.closest("fieldset").querySelectorAll("[data-alternative]")) {
        part.hidden = part.dataset.alternative !== radio.value;
      }
    }
  };

  // The last row of fields that repeat is always an empty one.
  const growRows = () => {
    for (const list of form().querySelectorAll("[data-repeat]")) {
      const last = list.lastElementChild;
      const rows = list.childElementCount;
      if (rows >= 20 || ![...last.querySelectorAll("input")].some((field) => field.value.trim())) continue;
      const next = last.cloneNode(true);
      for (const part of next.querySelectorAll("*")) {
        for (const { name, value } of [...part.attributes]) {
          if (name.startsWith("data-htmx")) part.removeAttribute(name);
          else part.setAttribute(name, value.replaceAll(/(charges[.-])\d+/g, `$1${rows}`));
        }
        if (part.matches(".fault")) part.replaceChildren();
        part.removeAttribute("aria-invalid");
      }
      for (const field of next.querySelectorAll("input")) field.value = "";
      list.append(next);
    }
  };

  const markWrong = () => {
    for (const fault of document.querySelectorAll(".fault[data-field]")) {
      const field = fault.dataset.field && form().elements.namedItem(fault.dataset.field);
      if (!field || !field.setAttribute) continue;
      if (fault.childElementCount) {
        field.setAttribute("aria-invalid", "true");
        fault.closest("details")?.setAttribute("open", "");
      } else {
        field.removeAttribute("aria-invalid");
      }
    }
  };

  const keepDraft = () => {
    const typed = [...new FormData(form())].filter(([name]) => name !== "form_token");
    sessionStorage.setItem(draftKey(), JSON.stringify(typed));
  };

  const restoreDraft = () => {
    const kept = sessionStorage.getItem(draftKey());
    if (!kept || new URLSearchParams(location.search).has("from")) return;
    let changed = false;
    for (const [name, value] of JSON.parse(kept)) {
      const field = form().elements.namedItem(name);
      if (field && (field.type === "checkbox" ? !field.checked : field.value !== value)) {
        if (field.type === "checkbox") field.checked = true;
        else field.value = value;
        changed = true;
        growRows();
      }
    }
    showChosen();
    markWrong();
    if (changed) form().dispatchEvent(new Event("change", { bubbles: true }));
  };

  document.addEventListener("click", (event) => {
    const suggestion = event.target.closest?.("[data-fill]");
    if (suggestion) {
      const field = form().elements.namedItem(suggestion.dataset.fill);
      field.value = suggestion.dataset.value;
      field.focus();
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (event.target.id === "start-over") {
      event.preventDefault();
      sessionStorage.removeItem(draftKey());
      location.assign(location.pathname + location.search);
    }
  });
  document.addEventListener("input", (event) => {
    if (!form()?.contains(event.target)) return;
    showChosen();
    growRows();
    keepDraft();
  });
  document.addEventListener("submit", () => form() && sessionStorage.removeItem(draftKey()));
  document.addEventListener("htmx:after:swap", () => {
    if (!form()) return;
    showChosen();
    markWrong();
  });
  // Once, and when htmx listens to the form, which may be before or after this script is there: it answers to what
  // was restored.
  let restored = false;
  const restoreOnce = () => {
    if (restored || !form()?.hasAttribute("data-htmx-powered")) return;
    restored = true;
    restoreDraft();
  };
  document.addEventListener("htmx:after:init", restoreOnce);
  restoreOnce();
})();
