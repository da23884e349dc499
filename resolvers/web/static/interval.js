// The interval plot: for each lead the median of the sequences, what the evidence leaves of it, and the threshold.
import { number, s } from "/static/dom.js";

const LEFT = 110;
const RIGHT = 24;
const ROW = 48;
const TOP = 26;
const BEYOND = 2; // spans of what decides, beyond which a sequence is drawn at the edge

// rows: {name, low, high, median, headline, points}; all share the threshold, and `above` says which side is the claim's
export function intervalPlot(rows, { threshold, above, measure }) {
  // as wide as there is room when it is drawn, so that its letters keep their size
  const width = Math.min(760, Math.max(320, window.innerWidth - 84));
  const height = TOP + ROW * rows.length + 42;
  const bottom = height - 42;
  const [from, to] = range(rows, threshold);
  const x = (value) => LEFT + ((Math.min(Math.max(value, from), to) - from) / (to - from)) * (width - LEFT - RIGHT);
  const limit = x(threshold);
  const side = above ? [limit, width - RIGHT - limit] : [LEFT, limit - LEFT];
  return s(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spoken(rows, threshold, above, measure) },
    s("rect", { class: "side", x: side[0], y: TOP, width: Math.max(side[1], 0), height: bottom - TOP }),
    ticks(from, to).map((value) => [
      s("line", { class: "grid", x1: x(value), x2: x(value), y1: TOP, y2: bottom }),
      s("text", { class: "tick", x: x(value), y: bottom + 17, "text-anchor": "middle" }, number(value, 3)),
    ]),
    s("text", { class: "tick", x: (LEFT + width - RIGHT) / 2, y: height - 6, "text-anchor": "middle" }, measure),
    rows.map((row, n) => drawn(row, TOP + ROW * (n + 0.5), x, [from, to])),
    s("line", { class: "threshold", x1: limit, x2: limit, y1: TOP - 6, y2: bottom }),
    s("text", { class: "limit", x: limit, y: TOP - 11, ...anchor(limit, width) }, `threshold ${number(threshold)}`),
  );
}

function drawn({ name, low, high, median, headline, points }, y, x, [from, to]) {
  const parts = [s("text", { class: "name", x: 6, y: y + 4 }, name)];
  for (const value of points ?? []) {
    const out = value < from || value > to;
    const at = { class: out ? "point out" : "point", cx: x(value), cy: y + 15, r: 4 };
    parts.push(s("circle", at, s("title", null, number(value))));
  }
  if (median === null) return [...parts, s("text", { class: "name", x: LEFT + 6, y: y + 4 }, "nothing could be scored")];
  const ends = [low === null ? x(from) : x(low), high === null ? x(to) : x(high)];
  parts.push(s("line", { class: "interval", x1: ends[0], x2: ends[1], y1: y, y2: y }));
  parts.push(end(ends[0], y, low === null ? -1 : 0), end(ends[1], y, high === null ? 1 : 0));
  if (headline !== null && headline !== undefined) {
    const at = x(headline);
    const diamond = `M${at} ${y - 7}l7 7l-7 7l-7 -7z`;
    parts.push(s("path", { class: "headline", d: diamond }, s("title", null, `pooled ${number(headline)}`)));
  }
  parts.push(s("circle", { class: "median", cx: x(median), cy: y, r: 5.5 }, s("title", null, `median ${number(median)}`)));
  return parts;
}

// An end that is known is a bar; an open one points where it goes on.
function end(at, y, open) {
  if (!open) return s("line", { class: "interval", x1: at, x2: at, y1: y - 9, y2: y + 9 });
  return s("path", { class: "interval", fill: "none", d: `M${at - 7 * open} ${y - 7}l${7 * open} 7l${-7 * open} 7` });
}

const anchor = (at, width) => ({ "text-anchor": at > width - 90 ? "end" : at < LEFT + 60 ? "start" : "middle" });

// What decides is seen whole; single sequences far off are not let squash it.
function range(rows, threshold) {
  const core = [threshold, ...rows.flatMap((row) => [row.low, row.high, row.median, row.headline])].filter(Number.isFinite);
  const [low, high] = [Math.min(...core), Math.max(...core)];
  const span = high - low || Math.abs(high) || 1;
  const points = rows.flatMap((row) => row.points ?? []);
  const near = points.filter((one) => one > low - BEYOND * span && one < high + BEYOND * span);
  const [first, last] = [Math.min(low, ...near), Math.max(high, ...near)];
  const margin = 0.08 * (last - first || span);
  return [first - margin, last + margin];
}

function ticks(from, to) {
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10);
  const found = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}

function spoken(rows, threshold, above, measure) {
  const bound = (value) => (value === null ? "open" : number(value));
  const said = rows.map(({ name, low, high, median }) =>
    median === null
      ? `${name}: nothing could be scored`
      : `${name}: median ${number(median)}, interval ${bound(low)} to ${bound(high)}`,
  );
  return `${measure}; the claim holds ${above ? "above" : "below"} ${number(threshold)}. ${said.join(". ")}.`;
}
