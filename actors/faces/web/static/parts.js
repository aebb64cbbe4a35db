// What several pages show: tables, state marks, elves, links to stories.
import { act, h } from "./dom.js";
import { elfName, say, title } from "./words.js";

const GOOD = new Set(["running", "alive", "done", "verified", "approved", "full"]);
const BAD = new Set(["quarantined", "backoff", "dead", "failed", "down", "suspended"]);
const WARN = new Set(["starting", "stopping", "restarting", "suspect", "probing", "recovering", "probation", "paused", "quiet", "assigned", "delayed", "started"]);

export const tone = (state) => (GOOD.has(state) ? "good" : BAD.has(state) ? "bad" : WARN.has(state) ? "warn" : "soft");
export const mark = (state, kind = tone(state)) => h("span", { class: `mark ${kind}` }, say(state));
export const tag = (text, kind = "") => h("span", { class: `tag ${kind}` }, text);
export const elf = (name) => h("span", { class: `elf ${name}` }, elfName(name));
export const card = (heading, width, ...children) => h("section", { class: `card ${width}` }, h("h2", null, heading), children);
export const empty = (word = "nothing yet") => h("p", { class: "empty" }, title(word));
export const go = (name, params = {}) => {
  const text = new URLSearchParams(Object.entries(params).filter(([, v]) => v !== "" && v !== undefined && v !== null)).toString();
  return `#/${name}${text ? `?${text}` : ""}`;
};
export const why = (id, text = id) => h("a", { href: go("why", { id }) }, text);

// columns: [[word, class, draw], ...]. On a narrow screen each row of `cards` is a block of labelled values.
export function table(caption, columns, rows, none = "nothing yet", { cards = false } = {}) {
  if (!rows.length) return empty(none);
  const label = (word) => (word === "CPU" || word === "PID" ? word : title(word)), role = (name) => (cards ? name : null);
  return h("div", { class: `scroll ${cards ? "cards" : ""}`, tabindex: 0, role: "region", "aria-label": title(caption) }, h("table", { role: role("table") },
    h("caption", null, title(caption)),
    h("thead", { role: role("rowgroup") }, h("tr", { role: role("row") }, columns.map(([word, kind]) => h("th", { class: kind.replace(/mono|soft|text/g, ""), scope: "col", role: role("columnheader") }, label(word))))),
    h("tbody", { role: role("rowgroup") }, rows.map((row, i) => h("tr", { role: role("row") }, columns.map(([word, kind, draw]) => h("td", { class: kind, "data-label": label(word), role: role("cell") }, draw(row, i))))))));
}

export function choose(word, options, chosen, change) {
  return h("select", { "aria-label": title(word), onchange: (event) => change(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

export function pick(options, chosen, change) {
  return h("div", { class: "row", role: "group" }, options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": value === chosen ? "true" : "false", onclick: () => change(value) }, text)));
}

// A button that says something to the log. One that is not harmless asks once more by its own label.
export function button(app, word, verb, body, { kind = "", sure = false, label = "" } = {}) {
  return h("button", {
    type: "button", class: kind, disabled: Boolean(app.past), "aria-label": label ? `${title(word)}: ${label}` : null,
    onclick: async (event) => {
      const it = event.currentTarget;
      if (sure && it.dataset.sure !== "1") {
        it.dataset.sure = "1";
        it.textContent = title("sure");
        setTimeout(() => { delete it.dataset.sure; it.textContent = title(word); }, 3000);
        return;
      }
      delete it.dataset.sure;
      it.textContent = title(word);
      try {
        const answer = await act(verb, body);
        app.say(`${title("said")}: ${label ? `${label} · ` : ""}${title(word)} (${say("position")} ${answer.position})`);
      } catch (problem) { app.say(problem.message, true); }
      app.refresh();
    },
  }, title(word));
}

// What can still be done with a task: withdraw it, or hand it out again.
export function taskButton(app, t) {
  if (["waiting", "running", "assigned", "delayed"].includes(t.state)) return button(app, "cancel", "task", { name: t.id, do: "cancel" }, { sure: true, label: t.id });
  return ["failed", "dead", "cancelled", "dropped"].includes(t.state) ? button(app, "retry", "task", { name: t.id, do: "retry" }, { label: t.id }) : "";
}
