// Charts as inline SVG: lines over time with a scale people can read, and small ones for table cells.
import { h } from "./dom.js";
import { fixed, moment } from "./words.js";

const H = 190, L = 46, R = 8, T = 10, B = 22;

function nice(top) {
  if (!(top > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 2.5, 5, 10].map((n) => n * unit).find((n) => n >= top * 0.999);
}

// series: [{name, tone, points: [[us, value], ...], step}], options: {since, until, top, unit, label, target}
export function chart(series, { since, until, top, unit = "", label, target, steps = false, width: W = 720 }) {
  if (matchMedia("(max-width:52rem)").matches) W = Math.min(W, 360);
  const values = series.flatMap((s) => s.points.map((p) => p[1])).filter((v) => v !== null);
  const max = top ?? nice(Math.max(0, target ?? 0, ...values));
  const x = (t) => L + ((t - since) / Math.max(1, until - since)) * (W - L - R);
  const y = (v) => T + (1 - Math.min(v, max) / max) * (H - T - B);
  const rules = [0, 0.25, 0.5, 0.75, 1].map((share) => [
    h("line", { class: "rule", x1: L, x2: W - R, y1: y(max * share), y2: y(max * share) }),
    share * 4 % 2 === 0 ? h("text", { x: L - 6, y: y(max * share) + 4, "text-anchor": "end" }, short(max * share) + unit) : null,
  ]);
  const ticks = (W < 400 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => {
    const t = since + (until - since) * share;
    return h("text", { x: x(t), y: H - 5, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, when(t, until - since));
  });
  const lines = series.map((s) => h("g", { class: s.tone || "" },
    s.area ? h("path", { class: "area", d: area(s.points, x, y) }) : null,
    h("path", { d: path(s.points, x, y, steps) },
      h("title", null, s.name)),
    s.points.length === 1 ? h("circle", { cx: x(s.points[0][0]), cy: y(s.points[0][1] ?? 0), r: 3, fill: "currentColor" }) : null));
  const goal = target !== undefined && target !== null && target <= max ? h("path", { class: "target", d: `M${L} ${y(target)}H${W - R}` }) : null;
  const last = series.map((s) => `${s.name} ${s.points.length ? short(s.points[s.points.length - 1][1]) + unit : "–"}`).join(", ");
  return h("figure", null,
    h("svg", { class: "chart", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${label}: ${last}` }, rules, ticks, goal, lines),
    series.length > 1 ? h("figcaption", { class: "legend" }, series.map((s) =>
      h("span", { class: `mark ${s.tone || ""}` }, `${s.name} ${s.points.length ? short(s.points[s.points.length - 1][1]) + unit : "–"}`))) : null);
}

function path(points, x, y, steps) {
  let d = "", pen = false;
  for (const [t, v] of points) {
    if (v === null || v === undefined) { pen = false; continue; }
    const px = x(t).toFixed(1), py = y(v).toFixed(1);
    d += pen ? (steps ? `H${px}V${py}` : `L${px} ${py}`) : `M${px} ${py}`;
    pen = true;
  }
  return d || "M0 0";
}

function area(points, x, y) {
  const known = points.filter((p) => p[1] !== null);
  if (known.length < 2) return "M0 0";
  return `${path(known, x, y, false)}L${x(known[known.length - 1][0]).toFixed(1)} ${y(0)}L${x(known[0][0]).toFixed(1)} ${y(0)}Z`;
}

export function spark(points, label, tone = "") {
  if (points.length < 2) return h("span", { class: "soft" }, "–");
  const top = Math.max(...points.map((p) => p[1])) || 1, first = points[0][0], last = points[points.length - 1][0];
  const d = path(points, (t) => ((t - first) / Math.max(1, last - first)) * 100, (v) => 23 - (v / top) * 21, false);
  return h("svg", { class: `spark ${tone}`, viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label }, h("path", { d }));
}

function short(v) {
  if (v === null || v === undefined) return "–";
  const a = Math.abs(v);
  if (a >= 1e6) return `${fixed(v / 1e6, 1)}M`;
  if (a >= 1e4) return `${fixed(v / 1e3, 0)}k`;
  return fixed(v, a >= 10 || Number.isInteger(v) ? 0 : a >= 1 ? 1 : 2);
}

function when(us, width) {
  const text = moment(us);
  return width > 2 * 86400e6 ? text.slice(5, 10) : text.slice(11, 16);
}
