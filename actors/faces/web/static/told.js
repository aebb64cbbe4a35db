// Pages drawn from the log's tables: alerts, decisions and why, mana, indicators, proposals, logs, events.
import { ask, h } from "./dom.js";
import { chart } from "./chart.js";
import { manaBars } from "./now.js";
import { button, card, choose, elf, empty, go, mark, pick, table, tag, taskButton, why as whyLink } from "./parts.js";
import { clock, count, fixed, lang, moment, percent, say, span, title } from "./words.js";

const ELVES = ["flow", "time", "balance", "healing", "wisdom"];
const bad = (severity) => (severity === "critical" || severity === "high" ? "bad" : "warn");
const link = (id, text) => h("a", { href: go("decision", { id }) }, text);
const spans = () => [["1h", say("last hour")], ["6h", say("6 hours")], ["24h", say("24 hours")], ["7d", say("7 days")]];

export const alerts = {
  every: 2000, live: true,
  load: () => ask("/api/alerts"),
  draw({ open, past }, app) {
    return h("div", { class: "grid" },
      card(title("open alerts"), "", table("open alerts", [
        ["opened", "nowrap", (a) => clock(a.opened * 1e6)], ["", "", (a) => tag(say(a.severity), bad(a.severity))],
        ["target", "name", (a) => whyLink(a.target)], ["alerts", "text", (a) => a.text], ["count", "n wide", (a) => count(a.count)],
        ["actions", "", (a) => h("div", { class: "row" },
          a.acknowledged ? tag(say("acknowledged"), "good") : button(app, "acknowledge", "alert", { name: a.cause, target: a.target, do: "acknowledge" }, { label: a.target }),
          a.silent_until ? tag(`${say("silent until")} ${clock(a.silent_until * 1e6)}`) : button(app, "silence 1 h", "alert", { name: a.cause, target: a.target, do: "silence", seconds: 3600 }, { label: a.target }))],
      ], open, "no alerts", { cards: true })),
      card(title("past alerts"), "", table("past alerts", [
        ["opened", "nowrap", (a) => clock(a.opened)], ["closed", "nowrap", (a) => clock(a.closed)], ["", "wide", (a) => tag(say(a.severity || ""), bad(a.severity))],
        ["target", "name", (a) => a.target], ["alerts", "text", (a) => link(a.decision, a.text)], ["count", "n wide", (a) => count(a.count)],
        ["verdict", "wide", (a) => (a.verdict ? say(a.verdict) : "–")],
      ], past.filter((a) => a.closed !== null), "nothing yet", { cards: true })));
  },
};

export const decisions = {
  every: 2000, live: true,
  load(app, asked) {
    const query = new URLSearchParams({ elf: asked.elf || "", target: asked.target || "", all: asked.all || "", before: asked.before || (app.past ? String(app.past.position + 1) : "") });
    return ask(`/api/decisions?${query}`);
  },
  draw({ decisions: rows, more }, app, asked) {
    return h("div", { class: "card" },
      h("div", { class: "tools" },
        choose("elf", [["", title("all elves")], ...ELVES.map((name) => [name, name === "time" && lang() === "ja" ? "タイム" : title(name)])], asked.elf || "", (v) => app.with({ elf: v, before: "" })),
        h("input", { type: "search", placeholder: title("worker or target"), "aria-label": title("worker or target"), value: asked.target || "", onchange: (e) => app.with({ target: e.target.value.trim(), before: "" }) }),
        h("button", { type: "button", "aria-pressed": asked.all === "1" ? "true" : "false", onclick: () => app.with({ all: asked.all === "1" ? "" : "1", before: "" }) }, title("with assignments"))),
      table("decisions", [
        ["time", "nowrap", (d) => clock(d.time)], ["elf", "", (d) => elf(d.elf)], ["decision", "text", (d) => link(d.id, d.text || d.choice)],
        ["target", "wide", (d) => d.target], ["reason", "wide text soft", (d) => d.reason], ["mode", "wide", (d) => (d.mode === "act" ? say("act") : tag(say(d.mode), "warn"))],
        ["cost", "n wide", (d) => d.mana_cost || ""], ["outcome", "", (d) => (d.outcome === "none" ? "" : mark(d.outcome))],
      ], rows, "nothing", { cards: true }),
      h("div", { class: "tools pager" }, asked.before ? h("button", { type: "button", onclick: () => app.with({ before: "" }) }, title("now")) : null,
        h("button", { type: "button", disabled: !more, onclick: () => app.with({ before: rows[rows.length - 1].seq }) }, title("older"))));
  },
};

const plain = (value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));
const facts = (object) => h("dl", { class: "facts" }, Object.entries(object).map(([name, value]) => [h("dt", null, name), h("dd", null, plain(value).slice(0, 2000))]));

function storyCard(told, width = "") {
  return card([title("story"), h("small", null, told.title)], width, h("ol", { class: "why" }, told.lines.map((line) =>
    h("li", null, h("time", { class: "soft nowrap" }, moment(line.time)), h("span", { class: "soft n mono" }, line.position), h("span", { class: "text" }, line.text)))));
}

export const decision = {
  every: 5000, live: true,
  async load(app, asked) {
    const id = encodeURIComponent(asked.id || "");
    const [found, told] = await Promise.all([ask(`/api/decision/${id}`), ask(`/api/why/${id}?lang=${lang()}`)]);
    return { ...found, told };
  },
  draw({ decision: d, steps, told }) {
    const terms = [...new Set(d.candidates.flatMap((c) => Object.keys(c.terms || {})))];
    return h("div", { class: "grid" },
      card([h("span", null, elf(d.elf), " ", d.text), h("small", null, moment(d.time))], "w7",
        facts({ [title("reason")]: d.reason, [title("target")]: d.target, [title("decision")]: d.choice, [title("mode")]: say(d.mode), [title("outcome")]: `${say(d.outcome)} ${d.outcome_detail || ""}`,
          [title("cost")]: d.mana_cost, [title("policy")]: `${d.policy} ${d.version}`, [title("position")]: `${d.seq} (${say("as of")} ${d.as_of})`, id: d.id })),
      card(title("inputs"), "w5", Object.keys(d.inputs).length ? facts(d.inputs) : empty("nothing")),
      card([title("candidates"), h("small", null, count(d.candidates.length))], "", table("candidates", [
        ["candidate", "name", (c) => c.name], ["why not", "text", (c) => (c.why_not ? c.why_not : tag(say("chosen"), "good"))],
        ...terms.map((term) => [term, "n", (c) => (c.terms?.[term] === undefined ? "" : fixed(c.terms[term], 2))]),
      ], d.candidates, "nothing")),
      steps.length ? card(title("steps"), "", table("steps", [
        ["time", "nowrap", (s) => clock(s.time)], ["step", "name", (s) => s.step], ["outcome", "", (s) => mark(s.ok ? "verified" : "failed")],
        ["took", "n nowrap", (s) => span((s.took_ms || 0) / 1000)], ["reason", "text", (s) => s.detail || ""],
      ], steps)) : null,
      storyCard(told));
  },
};

export const task = {
  every: 3000, live: true,
  async load(app, asked) {
    const id = encodeURIComponent(asked.id || "");
    const [found, told] = await Promise.all([ask(`/api/task/${id}`), ask(`/api/why/${id}?lang=${lang()}`)]);
    return { ...found, told };
  },
  draw({ task: t, told }, app) {
    const carried = (word, text) => card(title(word), "w6", text ? h("pre", { tabindex: 0, "aria-label": title(word) }, text) : empty("nothing"));
    const known = { state: mark(t.state), queue: h("a", { href: go("tasks", { queue: t.queue }) }, t.queue), type: t.type, priority: say(t.priority), worker: t.worker ? whyLink(t.worker) : "",
      attempts: t.attempts, submitted: moment(t.submitted), due: t.due ? moment(t.due) : "", started: t.started ? moment(t.started) : "", ended: t.finished ? moment(t.finished) : "",
      response: t.response_s === null ? "" : span(t.response_s), service: t.service_s === null ? "" : span(t.service_s), error: t.error };
    return h("div", { class: "grid" },
      card([title("task"), taskButton(app, t)], "", h("dl", { class: "facts" }, Object.entries(known).map(([word, value]) => (value || value === 0 ? [h("dt", null, title(word)), h("dd", null, value)] : null)))),
      carried("payload", t.payload), carried("result", t.result), storyCard(told));
  },
};

export const why = {
  every: 3000, live: true,
  load: (app, asked) => ask(`/api/why/${encodeURIComponent(asked.id || "")}?lang=${lang()}`),
  draw: (told) => storyCard(told),
};

export const mana = {
  every: 5000, live: true,
  async load(app, asked) { const [page, course] = await Promise.all([ask("/api/status"), ask(`/api/mana?span=${asked.span || "6h"}`)]); return { page, course }; },
  draw({ page, course }, app, asked) {
    const lines = ELVES.map((name) => ({ name: name === "time" && lang() === "ja" ? "タイム" : title(name), tone: name, points: course.levels.filter((l) => l.elf === name).map((l) => [l.time, l.level]) }));
    return h("div", { class: "grid" },
      card(title("mana level"), "w4", manaBars(page)),
      card([title("over time"), pick(spans(), asked.span || "6h", (v) => app.with({ span: v }))], "w8", chart(lines, { ...course, top: 100, unit: "%", label: title("mana"), steps: true })),
      card(title("spent lately"), "", table("spent lately", [
        ["time", "nowrap", (s) => clock(s.time)], ["elf", "", (s) => elf(s.elf)], ["decision", "text", (s) => `${s.choice} ${s.target}`],
        ["cost", "n", (s) => count(s.cost)], ["refunded", "n wide", (s) => (s.refunded ? fixed(s.refunded, 1) : "")],
      ], course.spent)));
  },
};

const spell = (v, unit) => (v === null || v === undefined ? say("no data") : unit === "share" ? percent(v) : unit === "points" ? fixed(v, 1) : span(v));

export const indicators = {
  every: 5000, live: true,
  load: (app, asked) => ask(`/api/kpi?days=${asked.days || 1}&span=${asked.span || "6h"}`),
  draw(found, app, asked) {
    const noon = (day) => Date.parse(`${day}T12:00:00Z`) * 1000;
    const daily = (name) => found.daily.filter((d) => d.name === name && d.value !== null);
    const course = (k) => {
      const points = daily(k.name).map((d) => [noon(d.day), k.unit === "share" ? d.value * 100 : d.value]);
      if (!points.length) return null;
      const since = points[0][0] - 43200e6, until = Math.max(points[points.length - 1][0], since + 86400e6) + 43200e6;
      return card([title(k.name), h("small", null, `${k.sense} ${spell(k.target, k.unit)}`)], "w4",
        chart([{ name: say(k.name), tone: k.met === false ? "bad" : "good", points, area: true }], { since, until, width: 380, label: say(k.name), target: k.unit === "share" ? k.target * 100 : k.target, unit: k.unit === "share" ? "%" : "" }));
    };
    const work = [["submitted", "flow"], ["done", "good"], ["failed", "bad"]].map(([name, tone]) => ({ name: say(name), tone, points: filled(found, name) }));
    return h("div", { class: "grid" },
      card([title("indicators"), pick([["1", say("1 day")], ["7", say("7 days")], ["30", say("30 days")]], String(asked.days || 1), (v) => app.with({ days: v }))], "", table("indicators", [
        ["indicator", "name", (k) => title(k.name)], ["value", "n", (k) => spell(k.value, k.unit)], ["goal", "n", (k) => `${k.sense} ${spell(k.target, k.unit)}`],
        ["met", "", (k) => (k.met === null ? h("span", { class: "soft nowrap" }, say("no data")) : mark(k.met ? "yes" : "no", k.met ? "good" : "bad"))], ["n", "n", (k) => count(k.n)],
      ], found.indicators, "no data")),
      card([title("work done"), pick(spans(), asked.span || "6h", (v) => app.with({ span: v }))], "w8", chart(work, { since: found.since, until: found.until, label: title("work done") })),
      card(`${title("service time")} (s)`, "w4", chart([{ name: say("service"), tone: "flow", area: true, points: found.work.filter((w) => w.service_s !== null).map((w) => [w.time, w.service_s]) }], { since: found.since, until: found.until, width: 380, label: title("service time") })),
      found.indicators.map(course));
  },
};

function filled({ since, until, step, work }, name) {
  const by = new Map(work.map((w) => [w.time, w[name]]));
  const points = [];
  for (let t = Math.floor(since / step) * step + step; t <= until; t += step) points.push([t, by.get(t) || 0]);
  return points;
}

export const proposals = {
  every: 3000, live: true,
  load: () => ask("/api/proposals"),
  draw({ proposals: rows }, app) {
    const open = rows.filter((p) => p.state === "open"), rest = rows.filter((p) => p.state !== "open");
    const told = (p) => [["claim", p.claim], ["gain", p.gain], ["risk", p.risk], ["rollback", p.rollback], ["change", p.change && plain(p.change) !== "{}" ? plain(p.change) : ""], ["expires", p.expires ? moment(p.expires) : ""]].filter((f) => f[1]);
    return h("div", { class: "stack" },
      open.length ? open.map((p) => h("article", { class: "card proposal", "data-key": p.id },
        h("h2", null, h("span", null, elf(p.elf), " ", p.text), h("small", null, clock(p.time))),
        h("dl", { class: "facts" }, told(p).map(([name, value]) => [h("dt", null, title(name)), h("dd", null, value)])),
        h("div", { class: "row" }, button(app, "approve", "proposal", { name: p.id, do: "approve" }, { kind: "main", label: p.target }),
          button(app, "reject", "proposal", { name: p.id, do: "reject" }, { label: p.target }), link(p.id, title("story"))))) : h("div", { class: "card" }, empty("nothing")),
      card(title("answered"), "", table("answered", [
        ["time", "nowrap", (p) => clock(p.time)], ["elf", "", (p) => elf(p.elf)], ["proposals", "text", (p) => link(p.id, p.text)],
        ["state", "", (p) => tag(say(p.state), p.state === "approved" ? "good" : "")], ["answered", "wide nowrap", (p) => clock(p.answered)],
      ], rest)));
  },
};

export const logs = {
  every: 3000, live: true,
  async load(app, asked) {
    const { logs: names } = await ask("/api/logs");
    const name = asked.name || names[0];
    return { names, tail: name ? await ask(`/api/logs/${encodeURIComponent(name)}?lines=${asked.lines || 200}`) : null };
  },
  draw({ names, tail }, app, asked) {
    return h("div", { class: "card" }, h("div", { class: "tools" },
      choose("choose a log", names.map((n) => [n, n]), tail?.name || "", (v) => app.with({ name: v })),
      pick([["50", "50"], ["200", "200"], ["1000", "1000"]], asked.lines || "200", (v) => app.with({ lines: v })), h("span", { class: "soft" }, say("lines"))),
    tail?.cut ? h("p", { class: "soft" }, `… ${say("the end of a longer log")}`) : null,
    tail && tail.lines.length ? h("pre", { tabindex: 0, "aria-label": tail.name }, tail.lines.join("\n")) : empty("nothing yet"));
  },
};

export const events = {
  every: 1000, live: true,
  load: (app) => ask(`/api/events?before=${app.past ? app.past.position + 1 : ""}`),
  draw: ({ events: rows }) => card(title("events"), "", table("events", [
    ["position", "n mono soft", (e) => e[0]], ["time", "nowrap", (e) => clock(e[1])], ["event", "name", (e) => e[2]], ["subject", "text mono soft", (e) => e[3]],
  ], rows, "nothing yet", { cards: true })),
};
