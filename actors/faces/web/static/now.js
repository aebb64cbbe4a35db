// Pages drawn from the node's page of what is now, or from the same page as of a moment of the past.
import { ask, h } from "./dom.js";
import { chart, spark } from "./chart.js";
import { button, card, choose, elf, empty, go, mark, table, tag, taskButton, why } from "./parts.js";
import { clock, count, elfName, fixed, percent, say, size, span, title } from "./words.js";

const status = (app) => (app.past ? Promise.resolve(app.past) : ask("/api/status"));
const memory = (w) => [size(w.memory_bytes), w.memory_limit_bytes ? h("span", { class: "wide soft" }, ` / ${size(w.memory_limit_bytes)}`) : null];

const KINDS = { fine: "good", warning: "warn", bad: "bad", busy: "warn", off: "soft" };
function health(w, alerts) {
  const alarm = alerts.find((a) => a.target === w.name || a.target === w.pool);
  const word = w.mark === "fine" || w.mark === "warning" ? w.mark : w.state;
  return h("span", null, mark(word, KINDS[w.mark]), alarm ? h("span", { class: "soft" }, ` ${alarm.cause}`) : null);
}

const BLOCKS = (level, most) => { const n = Math.round((level / Math.max(1, most)) * 10); return "█".repeat(n) + "░".repeat(10 - n); };

export function manaBars(page) {
  const rows = page.elves.map((e) => h("div", { class: "bar" }, elf(e.name),
    h("meter", { class: e.name, min: 0, max: 100, value: Math.min(100, e.mana), "aria-label": `${elfName(e.name)} ${say("mana")}`, title: BLOCKS(e.mana, 100) }), h("b", null, `${e.mana}%`)));
  return h("div", { class: "bars" }, rows, h("div", { class: "bar" }, h("strong", null, title("total")),
    h("meter", { class: "good", min: 0, max: 100, value: Math.min(100, page.mana_total), "aria-label": `${title("total")} ${say("mana")}` }), h("b", null, `${page.mana_total}%`)));
}

export function actionList(actions, most = 12) {
  if (!actions.length) return empty();
  return h("ol", { class: "list" }, actions.slice(0, most).map((a) => h("li", null, h("time", null, clock(a.time * 1e6)),
    h("span", { class: "text" }, elf(a.elf), "  ", h("a", { href: go("decision", { id: a.decision }) }, a.text)))));
}

const sum = (rows, name) => rows.reduce((total, row) => total + (row[name] || 0), 0);
const tile = (word, value, note = "") => h("div", { class: "tile" }, h("dt", null, title(word)), h("dd", null, value, note ? h("small", null, ` ${note}`) : null));

export const overview = {
  load: status,
  draw(page, app) {
    const up = page.workers.filter((w) => w.state === "running").length;
    return [
      h("dl", { class: "tiles" },
        tile("workers", `${up}`, `/ ${page.workers.length} ${say("running")}`),
        tile("waiting tasks", count(sum(page.queues, "pending")), `+ ${count(sum(page.queues, "in_flight"))} ${say("in flight")}`),
        tile("tasks/h", count(sum(page.workers, "tasks_per_hour") )),
        tile("open alerts", count(page.alerts.length)),
        tile("mana", `${page.mana_total}%`)),
      h("div", { class: "grid" },
        h("div", { class: "w8 stack" },
          card(title("worker state"), "", workerTable(page, app, false)),
          card(title("queues"), "", queueTable(page.queues)),
          card(title("recent actions"), "", actionList(page.actions))),
        h("div", { class: "w4 stack" },
          card(title("mana level"), "", manaBars(page)),
          card(title("elf activity"), "", page.paused ? h("p", { class: "warn" }, title("elves paused")) : null,
            h("ul", { class: "list" }, page.elves.map((e) => h("li", null, elf(e.name), h("span", { class: "text" }, elfLine(e))))),
            h("p", { class: "tools pager" }, page.paused ? button(app, "resume", "elves", { do: "resume" }) : button(app, "pause", "elves", { do: "pause" }, { sure: true }))),
          card(title("open alerts"), "", page.alerts.length ? alertLines(page.alerts) : empty("no alerts")))),
    ];
  },
};

// What an elf watches, does next, has ready and did last.
function elfLine(e) {
  const parts = [];
  if (e.doing) parts.push(e.doing);
  if (e.watching.length) parts.push(`${say("watches")} ${e.watching.join(", ")}`);
  if (e.next) parts.push(`${say(e.next.kind === "job" ? "next job" : "next reminder")} ${clock(e.next.time * 1e6)} ${e.next.worker || e.next.name} ${e.next.text}`);
  if (e.proposals) parts.push(h("a", { href: go("proposals") }, `${say("open proposals")}: ${e.proposals}`));
  if (e.last) parts.push(h("span", null, h("a", { href: go("decision", { id: e.last.decision }) }, e.last.text), ` (${clock(e.last.time * 1e6)})`));
  const tags = [e.mode !== "act" ? tag(say(e.mode), "warn") : null, e.deferred ? tag(`${say("deferred")} ${e.deferred}`) : null];
  return [parts.length ? parts.flatMap((part, i) => (i ? [" · ", part] : [part])) : h("span", { class: "soft" }, "–"), " ", tags];
}

function alertLines(alerts) {
  return h("ul", { class: "list" }, alerts.map((a) => h("li", null, h("time", null, clock(a.opened * 1e6)),
    h("span", { class: "text" }, tag(say(a.severity), a.severity === "critical" || a.severity === "high" ? "bad" : "warn"), " ", a.text))));
}

function workerTable(page, app, full, samples = {}) {
  const columns = [
    ["worker", "name", (w) => why(w.name)],
    ["state", "", (w) => health(w, page.alerts)],
    ["CPU", "n", (w) => (w.cpu_percent === null ? "–" : `${fixed(w.cpu_percent, w.cpu_percent < 10 ? 1 : 0)}%`)],
    ["memory", "n nowrap", memory],
    ["tasks/h", "n", (w) => count(w.tasks_per_hour)],
    ["errors", "n wide", (w) => h("span", { class: w.errors ? "bad" : "" }, count(w.errors))],
  ];
  if (full) columns.push(
    ["history", "wide", (w) => spark(samples[w.name] || [], `${w.name}: ${say("memory")}`, "flow")],
    ["done", "n wide", (w) => count(w.tasks_processed)],
    ["restarts", "n wide", (w) => count(w.restarts)],
    ["uptime", "n wide nowrap", (w) => span(w.uptime_s || null)],
    ["PID", "n wide", (w) => w.pid ?? "–"],
    ["says", "wide", (w) => [w.words, w.progress && `[${w.progress}]`].filter(Boolean).join(" ")],
    ["actions", "", (w) => h("div", { class: "row" },
      button(app, "restart", "worker", { name: w.name, do: "restart" }, { sure: true, label: w.name }),
      w.state === "stopped" || w.state === "quiet" || w.state === "paused"
        ? button(app, "run", "worker", { name: w.name, do: "run" }, { label: w.name })
        : [button(app, "quiet", "worker", { name: w.name, do: "quiet" }, { label: w.name }),
          button(app, "stop", "worker", { name: w.name, do: "stop" }, { kind: "danger", sure: true, label: w.name })],
      h("a", { href: go("logs", { name: w.name }) }, title("log")))]);
  else columns.push(["uptime", "n wide nowrap", (w) => span(w.uptime_s || null)]);
  return table("worker state", columns, page.workers, "nothing", { cards: full });
}

export const workers = {
  every: 3000,
  async load(app, asked) {
    const [page, used] = await Promise.all([status(app), ask(`/api/samples?span=${asked.span || "1h"}`)]);
    return { page, used };
  },
  draw({ page, used }, app, asked) {
    const by = {};
    for (const s of used.samples) ((by[s.unit] ||= { memory: [], cpu: [] }).memory.push([s.time, s.memory]), by[s.unit].cpu.push([s.time, s.cpu]));
    const tones = ["flow", "healing", "time", "balance", "wisdom"];
    const lines = (what, scale) => Object.keys(by).slice(0, 10).map((unit, i) => ({
      name: unit, tone: tones[i % 5], points: by[unit][what].map(([t, v]) => [t, v === null ? null : v * scale]) }));
    const sparks = Object.fromEntries(Object.entries(by).map(([unit, s]) => [unit, s.memory]));

    return h("div", { class: "grid" },
      card(title("worker state"), "", workerTable(page, app, true, sparks)),
      card(h("span", null, `${title("memory")} (MB)`), "w6", chart(lines("memory", 1e-6), { ...used, width: 520, label: title("memory") })),
      card("CPU (%)", "w6", chart(lines("cpu", 1), { ...used, width: 520, label: "CPU" })),
      card(title("scale"), "", table("scale", [
        ["pool", "name", (p) => p.name], ["queue", "", (p) => p.queue || "–"], ["wanted", "n", (p) => p.wanted],
        ["capacity", "n", (p) => p.max], ["actions", "", (p) => h("div", { class: "row" },
          button(app, "−", "scale", { name: p.name, count: Math.max(0, p.wanted - 1) }, { label: p.name }),
          button(app, "+", "scale", { name: p.name, count: Math.min(p.max, p.wanted + 1) }, { label: p.name }),
          button(app, "auto", "scale", { name: p.name, count: -1 }, { label: p.name }), p.set !== null ? tag(`= ${p.set}`, "warn") : null)],
      ], page.pools, "nothing", { cards: true })));
  },
};

export const agents = {
  load: status,
  draw(page, app) {
    return card(title("agents"), "", table("agents", [
      ["agent", "name", (a) => why(a.name)],
      ["state", "", (a) => mark(a.state)],
      ["phase", "wide", (a) => say(a.phase)],
      ["load", "n", (a) => h("span", { class: a.load_score > 80 ? "bad" : "" }, fixed(a.load_score, 1))],
      ["holds", "n", (a) => `${a.current_tasks} / ${a.wip}`],
      ["done share", "n", (a) => percent(a.completion_rate)],
      ["response", "n wide", (a) => span(a.response_time_s)],
      ["error share", "n", (a) => percent(a.error_rate)],
      ["last seen", "wide nowrap", (a) => (a.last_seen ? clock(a.last_seen * 1e6) : "–")],
      ["tasks", "wide text", (a) => (a.holds.length ? a.holds.slice(0, 5).map((id) => [h("a", { href: go("task", { id }) }, id), " "]) : "")],
      ["actions", "", (a) => (a.intent === "run"
        ? button(app, "drain", "agent", { name: a.name, do: "drain" }, { label: a.name })
        : button(app, "run", "agent", { name: a.name, do: "run" }, { label: a.name }))],
    ], page.agents, "nothing", { cards: true }));
  },
};

export function queueTable(queues) {
  return table("queues", [
    ["queue", "name", (q) => h("a", { href: go("tasks", { queue: q.name }) }, q.name)],
    ["pending", "n", (q) => h("span", { class: q.pending >= 100 ? "warn" : "" }, count(q.pending))],
    ["in flight", "n", (q) => count(q.in_flight)],
    ["oldest", "n wide nowrap", (q) => span(q.oldest_age_s || null)],
    ["in/min", "n wide", (q) => count(q.arrival_per_min)],
    ["out/min", "n", (q) => count(q.done_per_min)],
    ["done", "n wide", (q) => count(q.ended)],
  ], queues, "nothing");
}

export const tasks = {
  every: 3000, live: true,
  async load(app, asked) {
    const query = new URLSearchParams({ state: asked.state || "", queue: asked.queue || "", find: asked.find || "", page: asked.page || "0" });
    const [page, found] = await Promise.all([ask("/api/status"), ask(`/api/tasks?${query}`)]);
    return { page, found };
  },
  draw({ page, found }, app, asked) {
    const states = found.states.map((s) => [s.state, `${say(s.state)} (${count(s.n)})`]);
    const total = found.states.reduce((n, s) => n + s.n, 0);
    const last = Math.max(0, Math.ceil(found.total / found.size) - 1);
    const at = found.page;
    const turn = (word, to, able) => h("button", { type: "button", disabled: !able, onclick: () => app.with({ page: to }) }, title(word));
    return h("div", { class: "grid" },
      card(title("queues"), "", queueTable(page.queues)),
      card([title("tasks"), h("small", null, `${count(found.total)}`)], "",
        h("div", { class: "tools" },
          choose("state", [["", `${title("all states")} (${count(total)})`], ...states], asked.state || "", (v) => app.with({ state: v, page: "" })),
          choose("queue", [["", title("all queues")], ...page.queues.map((q) => [q.name, q.name])], asked.queue || "", (v) => app.with({ queue: v, page: "" })),
          h("input", { type: "search", placeholder: title("find an id"), "aria-label": title("find an id"), value: asked.find || "",
            onchange: (event) => app.with({ find: event.target.value.trim(), page: "" }) })),
        table("tasks", [
          ["task", "name", (t) => h("a", { href: go("task", { id: t.id }) }, t.id)], ["state", "", (t) => mark(t.state)], ["queue", "wide", (t) => t.queue],
          ["worker", "wide", (t) => t.worker || "–"], ["attempts", "n wide", (t) => t.attempts], ["submitted", "nowrap", (t) => clock(t.submitted)],
          ["response", "n wide nowrap", (t) => span(t.response_s)], ["error", "wide text", (t) => t.error || ""],
          ["actions", "", (t) => taskButton(app, t)],
        ], found.tasks, "nothing", { cards: true }),
        h("div", { class: "tools pager" }, turn("newer", at - 1, at > 0), h("span", { class: "soft" }, `${at + 1} ${say("of")} ${last + 1}`), turn("older", at + 1, at < last))));
  },
};

