// The list of hypotheses: latest first, page by page, looked at again while an experiment is under way.
import { ENDED, credence, h, link, passing, redraw, spent, table, trouble, verdict, when } from "/static/dom.js";
import { ask } from "/static/graphql.js";

const PAGE = 25;
const MOST = 200; // of one page of the API
const LOOK_SECONDS = 5;
const COLUMNS = ["Hypothesis", "Verdict", "Credence", "Newest test", "Energy", "Certificate"];
const VERDICTS = ["SUPPORTED", "REFUTED", "UNDETERMINED", "UNTESTED"];

const LIST = `query Hypotheses($first: Int!, $after: String, $domain: String, $verdict: Verdict) {
  hypotheses(first: $first, after: $after, domain: $domain, verdict: $verdict) {
    pageInfo { hasNextPage endCursor }
    nodes {
      uid text verdict credence
      domain { name title }
      tests(first: 1) {
        settledAt takenAt
        run { uid state certificate { number } stages { name state energyJoules energySource } }
      }
    }
  }
}`;
const DOMAINS = `{ domains(first: 200) { nodes { name title } } }`;

const place = document.getElementById("place");
const chosen = new URLSearchParams(location.search);
let shown = [];
let page = null;

const where = () => ({
  domain: chosen.get("domain") || null,
  verdict: VERDICTS.find((one) => one === chosen.get("verdict")) ?? null,
});

async function load({ more = false, first = PAGE } = {}) {
  place.setAttribute("aria-busy", "true");
  try {
    const found = (await ask(LIST, { first, after: more ? page.endCursor : null, ...where() })).hypotheses;
    shown = more ? [...shown, ...found.nodes] : found.nodes;
    page = found.pageInfo;
    show();
  } catch (error) {
    place.replaceChildren(trouble(error));
    if (passing(error)) setTimeout(load, 1000 * LOOK_SECONDS);
  }
  place.removeAttribute("aria-busy");
}

function show() {
  if (!shown.length) {
    const narrowed = where().domain || where().verdict;
    place.replaceChildren(narrowed ? h("p", null, "No hypothesis is like that.") : empty());
    return;
  }
  const rows = table("Hypotheses, latest first", COLUMNS, shown.map(row), { class: "stacks list" });
  const button = page.hasNextPage && h("button", { type: "button", click: () => load({ more: true }) }, "More");
  redraw(place, rows, button);
}

function row(one) {
  const test = one.tests[0];
  const certificate = test?.run?.certificate;
  return [
    [link(one), h("small", null, one.domain?.title ?? one.domain?.name ?? "")],
    verdict(one.verdict),
    credence(one.credence),
    test ? newest(test) : "none yet",
    test?.run ? spent(test.run.stages) : "–",
    certificate ? `yes, no. ${certificate.number}` : "no",
  ];
}

function newest({ settledAt, takenAt, run }) {
  const state = run?.state.toLowerCase() ?? "";
  if (!run || ENDED.has(run.state)) return [when(settledAt ?? takenAt), settledAt ? "" : ` ${state}`];
  const stage = run.stages.at(-1)?.name;
  return h("span", { class: "live" }, stage ? `${state}: ${stage}` : state);
}

function empty() {
  const example = 'fieldgraph ace run "on fluid_dynamics the tiny model keeps fidelity above 0.3" --budget 5kJ';
  return h(
    "section",
    { class: "card" },
    h("h2", null, "Nothing has been claimed yet"),
    h("p", null, "Say in a sentence what you expect of a model, with a number that could prove it wrong:"),
    h("pre", { tabindex: 0 }, example),
    h(
      "p",
      null,
      "It reads the sentence, looks at sequences that the model has not learnt from, and says supported, refuted or ",
      "undetermined. Here it can be watched, stage by stage. By the API it is ",
      h("code", null, "spawnAce"),
      ".",
    ),
  );
}

async function filters() {
  const domains = (await ask(DOMAINS)).domains.nodes;
  const choice = (name, label, options) => {
    const option = ([value, text]) => h("option", { value, selected: value === (chosen.get(name) ?? "") }, text);
    const select = h("select", { id: name, change: () => choose(name, select.value) }, options.map(option));
    return h("label", null, `${label} `, select);
  };
  document.getElementById("filters").replaceChildren(
    choice("verdict", "Verdict", [["", "all"], ...VERDICTS.map((one) => [one, one.toLowerCase()])]),
    choice("domain", "Domain", [["", "all"], ...domains.map((one) => [one.name, one.title ?? one.name])]),
  );
}

function choose(name, value) {
  if (value) chosen.set(name, value);
  else chosen.delete(name);
  history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  load();
}

const underWay = () => shown.some((one) => one.tests.some(({ run }) => run && !ENDED.has(run.state)));

setInterval(() => {
  if (!document.hidden && underWay()) load({ first: Math.min(Math.max(shown.length, PAGE), MOST) });
}, 1000 * LOOK_SECONDS);

await load();
await filters().catch(() => null); // whoever may not ask has been told
