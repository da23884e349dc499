// One hypothesis: what it claims, where it comes from and leads to, and its experiments as they go on.
import { ENDED, credence, definitions, h, link, number, passing, redraw, trouble, verdict, when } from "/static/dom.js";
import { EXPERIMENT, experiment, progressText } from "/static/experiment.js";
import { ask, watch } from "/static/graphql.js";

const NEWEST = 3; // tests that are shown at first
const ALL = 50;
const AGAIN_SECONDS = 3; // after a lost connection, and until a queued run is taken up

const ONE = `query Hypothesis($uid: ID!, $tests: Int!) {
  hypothesis(uid: $uid) {
    uid text claim credence verdict createdAt settledAt
    domain { name title }
    refines { uid text verdict } refinedBy { uid text verdict }
    tests(first: $tests) { verdict prior credence weight result takenAt settledAt run { ...Experiment } }
  }
  queued: runs(kind: ACE, state: QUEUED, first: 50) { nodes { uid config } }
  leased: runs(kind: ACE, state: LEASED, first: 50) { nodes { uid config } }
  running: runs(kind: ACE, state: RUNNING, first: 50) { nodes { uid config } }
} ${EXPERIMENT}`;
const STAGE = `subscription Stages($uid: ID!) { aceStage(run: $uid) { uid state } }`;
const PROGRESS = `subscription Progress($uid: ID!) { runProgress(uid: $uid) { state progress message } }`;

const NONE = { message: "There is no such hypothesis.", nextStep: "The list has those that there are." };

const uid = decodeURIComponent(location.pathname.split("/").at(-1));
const place = document.getElementById("place");
const watched = new Set();
let tests = NEWEST;
let drawing = null;

// One look at a time; whatever changes meanwhile is looked at right after.
let again = false;
async function load() {
  if (drawing) {
    again = true;
    return drawing;
  }
  drawing = look();
  await drawing;
  drawing = null;
  if (again) {
    again = false;
    await load();
  }
}

async function look() {
  try {
    const { hypothesis, queued, leased, running } = await ask(ONE, { uid, tests });
    const asked = [queued, leased, running].flatMap(({ nodes }) => nodes).filter((one) => one.config.hypothesis === uid);
    if (hypothesis) show(hypothesis, asked);
    else place.replaceChildren(trouble(NONE));
  } catch (error) {
    place.replaceChildren(trouble(error));
    if (passing(error)) setTimeout(load, 1000 * AGAIN_SECONDS);
  }
  place.removeAttribute("aria-busy");
}

// `asked` are the runs that test it, of which a new one is linked to it only when its first stage is under way.
function show(one, asked) {
  const untaken = asked.filter(({ uid }) => !one.tests.some(({ run }) => run?.uid === uid));
  document.title = `fieldgraph · ${one.text}`;
  const settled = one.settledAt && h("span", null, ", settled ", when(one.settledAt));
  redraw(
    place,
    h("h1", null, one.text),
    h("p", null, verdict(one.verdict), " credence ", credence(one.credence), settled),
    one.claim && h("section", { class: "card" }, h("h2", null, "The claim"), structure(one)),
    untaken.length > 0 && waiting(),
    !one.tests.length && !untaken.length && untested(one),
    ...one.tests.filter(({ run }) => run).map((test) => experiment(test, one.claim)),
    tests === NEWEST && one.tests.length === NEWEST && h("button", { type: "button", click: older }, "Older tests"),
    kin(one),
    cypher(one.uid),
  );
  for (const { run } of one.tests) if (run && !ENDED.has(run.state)) follow(run.uid);
  if (untaken.length) setTimeout(load, 1000 * AGAIN_SECONDS);
}

function older() {
  tests = ALL;
  load();
}

function structure({ claim, domain }) {
  const { horizon, perturbation } = claim;
  const several = claim.leads === "last" ? `lead ${horizon} alone` : `each of leads 1 … ${horizon}`;
  const inputs = perturbation && `${perturbation.operation.replace("_", " ")} of ${number(perturbation.amount)}`;
  return definitions([
    ["Measure", claim.metric],
    ["Must be", `${claim.comparator} ${number(claim.threshold)}`],
    ["On", domain?.title ? `${domain.title} (${claim.domain})` : claim.domain],
    ["Model", claim.model ?? "the domain's newest checkpoint"],
    ["Compared with", claim.versus],
    ["Frames", claim.regime ? `${claim.regime} ones` : "all"],
    ["Leads", horizon === 1 ? "lead 1" : several],
    ["Inputs", inputs ?? "as they are"],
  ]);
}

function untested({ text }) {
  const command = h("pre", { tabindex: 0 }, `fieldgraph ace run ${quoted(text)}`);
  return h("section", { class: "card" }, h("h2", null, "Not tested yet"), h("p", null, "Test it by"), command);
}

function waiting() {
  const who = h("code", null, "fieldgraph serve");
  return h("p", { class: "live" }, "A test of it is asked for; a worker of ", who, " takes it up.");
}

// As a POSIX shell takes it for one word, whatever is in it.
const quoted = (text) => (/["$`\\!]/.test(text) ? `'${text.replaceAll("'", `'\\''`)}'` : `"${text}"`);

function kin({ refines, refinedBy }) {
  if (!refines.length && !refinedBy.length) return null;
  const item = (one) => h("li", null, verdict(one.verdict), " ", link(one));
  const list = (title, those) => those.length > 0 && [h("h3", null, title), h("ul", { class: "kin" }, those.map(item))];
  const title = h("h2", null, "Where it comes from and what to ask next");
  return h("section", { class: "card" }, title, list("Asked after", refines), list("Follows from it", refinedBy));
}

const QUERY = `MATCH path = (h:Hypothesis {uid: 'UID'})-[:TESTED_BY]->(:ACERun)-[:STAGE]->(:Stage) RETURN path
UNION MATCH path = (h:Hypothesis {uid: 'UID'})-[:TESTED_BY]->(:ACERun)-[:VOTE|CERTIFIED_BY]->() RETURN path
UNION MATCH path = (h:Hypothesis {uid: 'UID'})-[:SUPPORTED_BY|REFUTED_BY]->(:Evaluation)-[:SCORES]->(:Checkpoint) RETURN path
UNION MATCH path = (h:Hypothesis {uid: 'UID'})-[:REFINES]-(:Hypothesis) RETURN path`;

function cypher(of) {
  const query = QUERY.replaceAll("UID", of);
  const copy = async ({ target }) => {
    await navigator.clipboard.writeText(query);
    target.textContent = "Copied";
  };
  return h(
    "section",
    { class: "card" },
    h("h2", null, "In Neo4j Browser"),
    h("p", null, h("code", null, "fieldgraph db start"), " prints its address. This draws the hypothesis and what is near:"),
    h("pre", { class: "cypher", tabindex: 0 }, query),
    navigator.clipboard && h("button", { type: "button", click: copy }, "Copy"),
  );
}

// Draw an experiment anew with each stage that begins or ends, and say in between what it is about. A look some seconds
// behind the end finds the certificate, which is issued then, or an experiment whose connection was lost. A browser has
// few connections to one server: a tab that nobody sees holds none.
async function follow(run) {
  if (watched.has(run)) return;
  watched.add(run);
  const both = new AbortController();
  const leave = () => document.hidden && both.abort();
  await seen();
  document.addEventListener("visibilitychange", leave);
  await Promise.all([stages(run, both.signal), progress(run, both.signal)]).catch(() => null);
  document.removeEventListener("visibilitychange", leave);
  both.abort(); // of two streams of which one broke, the other ends too
  await seen();
  await load();
  setTimeout(() => {
    watched.delete(run);
    load();
  }, 1000 * AGAIN_SECONDS);
}

async function seen() {
  while (document.hidden) await new Promise((then) => document.addEventListener("visibilitychange", then, { once: true }));
}

async function stages(run, signal) {
  for await (const _ of watch(STAGE, { uid: run }, signal)) load();
}

async function progress(run, signal) {
  for await (const { runProgress } of watch(PROGRESS, { uid: run }, signal)) {
    const status = document.querySelector(`[data-status="${CSS.escape(run)}"]`);
    if (!status) continue;
    status.textContent = progressText(runProgress);
    status.previousElementSibling.value = runProgress.progress;
  }
}

await load();
