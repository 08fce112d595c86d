// Parts of the page and the states that they show.

export const root = document.getElementById("inbox");
export const find = (selector) => root.querySelector(selector);

/** Put `element` into a state. A part says when it is shown, or what it tells; parts with states of their own keep theirs. */
export function set(element, state, code = "") {
  element.dataset.state = state;
  for (const part of element.querySelectorAll("[data-when], [data-in], [data-hint], [data-code]")) {
    const { when, in: states, hint } = part.dataset;
    if (part.parentElement.closest("[data-state]") !== element) continue;
    if (when) part.hidden = when !== state;
    else if (states) part.hidden = !states.split(" ").includes(state);
    else if (hint) part.hidden = hint !== code;
    else part.textContent = code;
  }
}

/** Show `element` with the part for this code, or the one for any other code. */
export function tell(element, code) {
  const known = element.querySelector(`[data-when="${CSS.escape(code)}"]`);
  set(element, known ? code : "other", code);
  element.hidden = false;
}

export const timeText = (at) => new Date(at).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" }); // 2026-11-26 09:00
