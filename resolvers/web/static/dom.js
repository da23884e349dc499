// Elements, and values as people read them. Text only ever becomes text nodes: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

export const h = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);
export const s = (name, attributes, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

// A table that stays one where a narrow screen stacks its cells (a changed display takes the semantics away).
export function table(caption, columns, rows, attributes = {}) {
  const head = (name) => h("th", { role: "columnheader", scope: "col" }, name);
  const cell = (content, n) => h("td", { role: "cell", "data-label": columns[n] }, content);
  return h(
    "table",
    { role: "table", ...attributes },
    h("caption", null, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(head))),
    h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map(cell)))),
  );
}

export function definitions(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined);
  return h("dl", null, shown.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

const SIGNS = { supported: "✓", refuted: "✗", undetermined: "?", untested: "○" };

// A word in a colour and with a sign of its own: the colour alone says nothing.
export function verdict(given) {
  const word = (given ?? "untested").toLowerCase();
  const sign = h("span", { "aria-hidden": "true" }, `${SIGNS[word] ?? "·"} `);
  return h("span", { class: `badge ${word in SIGNS ? word : "untested"}` }, sign, word);
}

export function credence(value) {
  if (value === null || value === undefined) return "–";
  const bar = s(
    "svg",
    { class: "bar", viewBox: "0 0 60 8", width: 60, height: 8, "aria-hidden": "true" },
    s("rect", { class: "rest", width: 60, height: 8, rx: 2 }),
    s("rect", { class: "part", width: 60 * value, height: 8, rx: 2 }),
    s("line", { class: "half", x1: 30, x2: 30, y1: 0, y2: 8 }),
  );
  return h("span", { class: "credence" }, bar, ` ${sure(value)}`);
}

// So many digits that what is nearly certain does not read as certain.
const sure = (value) => (value > 0.99 || value < 0.01 ? value.toPrecision(value > 0.99 ? 4 : 1) : value.toFixed(2));

export const number = (value, digits = 4) =>
  value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits))).replace("-", "−");

export function joules(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? `${number(value / 1000, 3)} kJ` : `${number(value, value >= 1 ? 3 : 2)} J`;
}

function known(source) {
  if (source === null) return "unknown";
  return source === "mixed" ? "mixed" : source.startsWith("estimated") ? "estimated" : "measured";
}

// What stages took together: measured and estimated joules have no sum.
export function spent(stages) {
  const sums = new Map();
  for (const { energyJoules, energySource } of stages) {
    if (energyJoules === null) continue;
    const kind = known(energySource);
    sums.set(kind, (sums.get(kind) ?? 0) + energyJoules);
  }
  return [...sums].map(([kind, sum]) => `${joules(sum)} ${kind}`).join(", ") || "–";
}

export function when(iso) {
  if (!iso) return "–";
  const at = new Date(iso);
  const two = (value) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return h("time", { datetime: iso }, `${day} ${two(at.getHours())}:${two(at.getMinutes())}`);
}

export const link = ({ uid, text }) => h("a", { href: `/hypotheses/${encodeURIComponent(uid)}` }, text);

// One line of trouble: what went wrong, and what to do.
export function trouble(error) {
  const login =
    error.code === "UNAUTHENTICATED" &&
    "Open the login address that `fieldgraph serve` prints, then come back to this page.";
  const next = login || (passing(error) ? "Asking again …" : error.nextStep);
  return h("p", { class: "trouble", role: "alert" }, h("strong", null, error.message), next ? ` ${next}` : null);
}

// Codes after which the same question may be answered; a fetch that failed has none.
export const passing = (error) => error instanceof TypeError || ["OUTAGE", "TIMEOUT"].includes(error.code);

export const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);

// Draw something anew without closing what its reader has opened, or taking the keyboard's place away.
export function redraw(place, ...children) {
  const key = (element) => element?.dataset?.key ?? element?.getAttribute?.("href");
  const focus = place.contains(document.activeElement) ? key(document.activeElement) : null;
  const open = new Set([...place.querySelectorAll("details[open]")].map(key));
  place.replaceChildren(...children.filter(Boolean));
  for (const one of place.querySelectorAll("details[data-key]")) one.open = open.has(one.dataset.key);
  if (focus) [...place.querySelectorAll("a, button, summary")].find((one) => key(one) === focus)?.focus();
}
