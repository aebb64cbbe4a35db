// The frame: which page is shown, when it is asked anew, the way to the past, language and colours.
import { ask, h, morph } from "./dom.js";
import * as now from "./now.js";
import * as told from "./told.js";
import { count, lang, moment, say, setLang, title } from "./words.js";

const PAGES = { overview: now.overview, workers: now.workers, agents: now.agents, tasks: now.tasks, alerts: told.alerts, decisions: told.decisions,
  mana: told.mana, indicators: told.indicators, proposals: told.proposals, logs: told.logs, events: told.events, decision: told.decision, task: told.task, why: told.why };
const MENU = ["overview", "workers", "agents", "tasks", "alerts", "decisions", "mana", "indicators", "proposals", "logs", "events"];
const IN_PAST = new Set(["overview", "workers", "agents", "decisions", "events"]);
const root = document.getElementById("app");
const build = document.documentElement.dataset.build;

const app = {
  past: null, node: { id: "", position: 0 }, linked: false, counts: {}, slider: null,
  say(text, wrong = false) {
    app.words = text; app.wrong = wrong; frame();
    clearTimeout(app.quiet);
    app.quiet = setTimeout(() => { app.words = ""; frame(); }, wrong ? 8000 : 4000);
  },
  with(changes) {
    const { name, asked } = where();
    const next = { ...asked, ...changes };
    const query = new URLSearchParams(Object.entries(next).filter(([, v]) => v !== "" && v !== null && v !== undefined)).toString();
    location.hash = `#/${name}${query ? `?${query}` : ""}`;
  },
  refresh() { asked_at = 0; show(); },
};

function where() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const name = PAGES[path] ? path : "overview";
  return { name, asked: Object.fromEntries(new URLSearchParams(query || "")) };
}

let turn = 0, asked_at = 0, body = null, waits = null;

async function show() {
  const { name, asked } = where(), page = PAGES[name], mine = ++turn;
  asked_at = Date.now();
  try {
    const data = await page.load(app, asked);
    if (mine !== turn) return;
    body = page.draw(data, app, asked);
    if (data.alerts && !app.past) app.counts.alerts = data.alerts.length;
    if (data.page?.alerts) app.counts.alerts = data.page.alerts.length;
    if (data.open) app.counts.alerts = data.open.length;
    if (data.proposals) app.counts.proposals = data.proposals.filter((p) => p.state === "open").length;
  } catch (problem) {
    if (mine !== turn) return;
    body = h("p", { class: "card bad", role: "alert" }, problem.message);
  }
  frame();
}

// What the log said asks for a fresh look, at most so often as the page can bear, and not while nobody sees it.
function later() {
  if (app.past || document.hidden || waits) return;
  const rest = (PAGES[where().name].every || 1000) - (Date.now() - asked_at);
  waits = setTimeout(() => { waits = null; show(); }, Math.max(0, rest));
}

function theme(next) {
  if (next) document.documentElement.dataset.theme = next; else delete document.documentElement.dataset.theme;
  try { next ? localStorage.setItem("elf-theme", next) : localStorage.removeItem("elf-theme"); } catch { /* storage is off */ }
}

function frame() {
  const { name, asked } = where();
  const heading = MENU.includes(name) ? title(name) : `${title(name === "why" ? "story" : name)}: ${(asked.id || "").slice(0, 40)}`;
  document.title = `${heading} · ${app.node.id || "elf-forest"}`;
  const dark = document.documentElement.dataset.theme ?? "";
  const fresh = h("div", null,
    h("a", { class: "skip", href: "#main", onclick: (e) => { e.preventDefault(); document.querySelector("main").focus(); } }, title("skip")),
    h("div", { class: "shell" },
      h("header", { class: "side" },
        h("a", { class: "brand", href: "#/overview" }, h("img", { src: "/favicon.svg", alt: "", width: 32, height: 32 }), h("span", null, app.node.id || "…", h("small", null, lang() === "ja" ? "エルフの森" : "elf-forest"))),
        h("nav", { class: "nav", "aria-label": title("page") }, MENU.map((it) => h("a", { href: `#/${it}`, "aria-current": it === name ? "page" : null }, title(it),
          app.counts[it] ? h("span", { class: "count" }, app.counts[it]) : null))),
        h("div", { class: "foot" },
          h("span", { class: `link ${app.linked ? "" : "off"}`, role: "status" }, `${say(app.linked ? "connected" : "connecting")} · ${count(app.node.position)}`),
          h("div", { class: "choice", role: "group", "aria-label": title("language") }, [["ja", "日本語"], ["en", "English"]].map(([code, text]) =>
            h("button", { type: "button", lang: code, "aria-pressed": lang() === code ? "true" : "false", onclick: () => { setLang(code); app.slider ? goBack(app.slider.at) : app.refresh(); } }, text))),
          h("div", { class: "choice theme", role: "group", "aria-label": title("theme") }, [["", title("auto")], ["light", title("light")], ["dark", title("dark")]].map(([code, text]) =>
            h("button", { type: "button", "aria-pressed": dark === code ? "true" : "false", onclick: () => { theme(code); frame(); } }, text))))),
      h("main", { id: "main", tabindex: -1 },
        h("div", { class: "head" }, h("h1", null, heading), app.slider ? null : h("button", { type: "button", id: "back", onclick: openPast }, title("time slider"))),
        app.slider ? pastBar(name) : null,
        h("div", { "data-key": name, id: "body" }, body))),
    h("div", { class: `say ${app.wrong ? "wrong" : ""}`, role: app.wrong ? "alert" : "status" }, app.words || ""));
  morph(root, fresh);
}

// The menu of a narrow screen is longer than the screen.
const center = () => document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

async function openPast() {
  try { app.slider = await ask("/api/span"); app.slider.at = app.slider.stop; } catch (problem) { return app.say(problem.message, true); }
  await goBack(app.slider.stop);
}

function pastBar(name) {
  const s = app.slider;
  return h("section", { class: "past", "aria-label": title("time slider") },
    h("label", { for: "slider" }, title("as of")),
    h("output", { for: "slider" }, `${moment(s.at)}${app.past ? ` · ${say("position")} ${count(app.past.position)}` : ""}`),
    h("input", { id: "slider", type: "range", min: s.start, max: s.stop, step: Math.max(1, Math.floor((s.stop - s.start) / 1000)), value: s.at, "aria-valuetext": moment(s.at),
      oninput: (event) => { s.at = Number(event.target.value); clearTimeout(s.wait); s.wait = setTimeout(() => goBack(s.at), 150); frame(); } }),
    h("button", { type: "button", onclick: () => { clearTimeout(s.wait); app.slider = app.past = null; app.refresh(); } }, title("back to now")),
    IN_PAST.has(name) ? null : h("span", null, title("this page shows now")));
}

async function goBack(time) {
  try {
    const page = await ask(`/api/at?time=${Math.round(time)}`);
    if (!app.slider || app.slider.at !== time) return;
    app.past = page;
    app.refresh();
  } catch (problem) { app.say(problem.message, true); }
}

// A page that is left must give its stream back: a browser has six connections for one address.
let source = null;
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => { if (event.persisted) { follow(); app.refresh(); } });

function follow() {
  const mine = source = new EventSource("/api/news");
  source.addEventListener("hello", (event) => {
    const node = JSON.parse(event.data), other = app.node.epoch !== undefined && app.node.epoch !== node.epoch;
    if (node.build !== build) return location.reload();
    app.node = { ...node, position: Number(event.lastEventId) };
    app.linked = true;
    frame();
    if (other) app.refresh();
  });
  source.addEventListener("log", (event) => { app.node.position = Number(event.lastEventId); app.linked = true; later(); });
  source.onerror = () => {
    app.linked = false; frame();
    if (mine === source && mine.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  };
}

try { theme(localStorage.getItem("elf-theme") || ""); } catch { /* storage is off */ }
addEventListener("hashchange", () => { body = null; show().then(center); scrollTo(0, 0); });
matchMedia("(max-width:52rem)").addEventListener("change", () => show());
document.addEventListener("visibilitychange", () => { if (!document.hidden) later(); });
frame();
show();
follow();
