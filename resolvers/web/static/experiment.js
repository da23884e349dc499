// One experiment: its stages, what it found, who agreed, what was looked at, what it took and what is attested of it.
import { ENDED, credence, definitions, h, joules, number, spent, table, verdict, when } from "/static/dom.js";
import { ask } from "/static/graphql.js";
import { intervalPlot } from "/static/interval.js";

export const STAGES = ["spawn", "compose", "plan", "schedule", "execute", "verify", "report", "retire"];
const FRAMES = 6; // of a film strip
const PAGE = 200;
const PAGES = 10; // of a sequence that are looked through for the first frame of a stretch

export const EXPERIMENT = `fragment Experiment on ACERun {
  uid state progress message errorMessage createdAt finishedAt device config
  stages { uid name position round state inputs outputs energyJoules energySource seconds }
  votes { uid round member sha256 agrees starts agreed }
  certificate { number digest issuedAt energyJoules energySource }
  children { uid kind state }
  evidence(first: 20) {
    uid fidelity fidelityLow fidelityHigh n scores
    checkpoint { uid step model { name } }
    on(first: 100) { first last sequence { uid source } }
  }
}`;
const STRIP = `query Strip($sequence: ID!, $after: String) {
  snapshots(sequence: $sequence, first: ${PAGE}, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { uid tIndex t regime imageUrl }
  }
}`;

export function experiment(test, claim) {
  const run = test.run;
  const done = latest(run.stages);
  const parts = done.compose?.sub_hypotheses ?? [];
  const result = test.result?.findings ? test.result : done.verify?.verdict;
  return h(
    "section",
    { class: "card", "data-run": run.uid },
    h("h2", null, "Test of ", when(test.takenAt), " ", test.verdict ? verdict(test.verdict) : state(run)),
    status(run),
    result && found(result, run, parts, claim),
    stages(run),
    votes(run, done.verify?.ensemble),
    evidence(run, done.plan, result, parts),
    books(run, test, done),
  );
}

const state = (run) => h("span", { class: "badge" }, run.state.toLowerCase());

// By name, what came out of each stage in its last round.
const latest = (stages) => Object.fromEntries(stages.filter((one) => one.outputs).map((one) => [one.name, one.outputs]));

function status(run) {
  if (run.state === "SUCCEEDED") return null;
  if (ENDED.has(run.state)) {
    const ended = run.state === "FAILED" ? "The run failed" : "The run was cancelled";
    return h("p", { class: "trouble" }, run.errorMessage ? `${ended}: ${run.errorMessage}` : `${ended}.`);
  }
  return h(
    "div",
    { class: "live" },
    h("progress", { max: 1, value: run.progress, "aria-label": "Progress of the experiment" }),
    h("p", { role: "status", "data-status": run.uid }, progressText(run)),
  );
}

export const progressText = ({ state, message }) => `${state.toLowerCase()}${message ? `: ${message}` : ""}`;

function found(result, run, parts, claim) {
  const of = (one) => parts.find((part) => part.name === one.name)?.claim;
  const rows = result.findings.map((one) => {
    const [low, high] = one.interval;
    return { ...one, low, high, points: values(of(one), run, result) };
  });
  const needed = rows.filter((one) => one.role === "necessary");
  const controls = Map.groupBy(rows.filter((one) => one.role !== "necessary" && of(one)), (one) => side(of(one)));
  const measure = claim && (claim.versus ? `${claim.metric} − that of ${claim.versus}` : claim.metric);
  const effect = result.effect === null ? null : `${number(result.effect)} towards the claim's side, at ${result.decisive}`;
  const corrected = `corrected for ${result.findings.length} sub-hypotheses (α = ${number(result.alpha)})`;
  return [
    h("p", null, result.reading),
    definitions([
      ["Effect", effect],
      ["Interval of the median", `${bounds(result.interval)}, ${corrected}`],
      ["Credence", h("span", null, credence(result.prior), " → ", credence(result.credence))],
      ["Looked at", `${result.cited.length} sequences; ended by ${ENDS[result.stopped_by] ?? result.stopped_by}`],
    ]),
    claim && plot(needed, claim, measure, `What was claimed, lead by lead. ${LEGEND}`),
    [...controls.values()].map((group) => plot(group, of(group[0]), `${claim?.metric} − the baseline's`, CONTROLS)),
    table("Sub-hypotheses", PARTS, rows.map(part), { class: "stacks parts" }),
    result.caveats.length > 0 && [h("h3", null, "Caveats"), h("ul", null, result.caveats.map((one) => h("li", null, one)))],
  ];
}

const PARTS = ["Name", "Decision", "Median", "Interval", "On its side", "Pooled", "Null"];

function part({ name, decision, median, interval, on_its_side, n, headline, null: nothing }) {
  return [name, verdict(decision), number(median), bounds(interval), `${on_its_side} of ${n}`, number(headline), nothing];
}

const LEGEND =
  "● median of the sequences, with the interval that the evidence leaves of it; ◇ pooled over all; " +
  "○ one sequence each; shaded: where the claim holds.";
const CONTROLS = "Controls: does a simpler forecast do as well on the same frames? They decide nothing.";

const side = ({ comparator, threshold }) => `${comparator} ${threshold}`;

function plot(rows, { comparator, threshold }, measure, caption) {
  const picture = intervalPlot(rows, { threshold, above: comparator.startsWith(">"), measure });
  return h("figure", null, picture, h("figcaption", null, caption));
}

const ENDS = { decision: "the decision", sequences: "the last sequence planned", budget: "the budget" };
const bounds = ([low, high]) => `${low === null ? "−∞" : number(low)} … ${high === null ? "∞" : number(high)}`;

// One number for each sequence that was looked at: the model's (or the baseline's that is meant), less that of `versus`.
function values(claim, run, result) {
  if (!claim) return [];
  const own = (samples) => samples[claim.model] ?? samples.model;
  return run.evidence.flatMap((one) =>
    Object.entries(one.scores?.samples?.values ?? {})
      .filter(([unit]) => result.cited.includes(unit))
      .map(([, samples]) => {
        const lead = String(claim.horizon);
        const value = own(samples)?.[lead]?.[0] ?? null;
        const less = claim.versus ? samples[claim.versus]?.[lead]?.[0] ?? null : 0;
        return value === null || less === null ? null : value - less;
      })
      .filter((value) => value !== null),
  );
}

function stages(run) {
  const rounds = Math.max(1, ...run.stages.map((one) => one.round));
  const over = ENDED.has(run.state);
  const rows = run.stages.map((one) => [
    rounds > 1 ? `${one.round}. ${one.name}` : one.name,
    one.state === "DONE" ? "✓ done" : over ? "✗ stopped" : h("span", { class: "live" }, "… running"),
    [one.outputs?.said ?? "", details(one)],
    joules(one.energyJoules),
    seconds(one.seconds),
  ]);
  const last = run.stages.at(-1);
  if (!over) for (const name of STAGES.slice(last ? last.position : 0)) rows.push([name, "to come", "", "–", "–"]);
  const title = `${rounds > 1 ? `${rounds} rounds; the` : "The"} joules of a stage include the runs that worked for it`;
  return [
    h("h3", null, "Stages"),
    table(title, ["Stage", "State", "What it said", "Energy", "Own time"], rows, { class: "stacks stages" }),
  ];
}

function details({ uid, inputs, outputs }) {
  const whole = h("pre", { tabindex: 0 }, JSON.stringify({ inputs, outputs }, null, 1));
  return h("details", { "data-key": uid }, h("summary", null, "in and out"), whole);
}

const seconds = (value) => (value === null ? "–" : value < 0.1 ? "< 0.1 s" : `${number(value, 3)} s`);

const MEMBERS = "Members with their own seeds, initialisations and bootstraps of the training sequences";

function votes(run, ensemble) {
  if (!run.votes.length && !ensemble) return null;
  const rows = run.votes.map((one) => [
    `member ${one.member}`,
    h("code", { title: one.sha256 }, one.sha256.slice(0, 12)),
    one.agrees ? "✓ with the quorum" : "✗ outside the quorum",
    one.agreed === null ? "–" : `${one.agreed} of ${one.starts} starts`,
  ]);
  const percent = (value) => (value === null || value === undefined ? null : `${number(100 * value, 3)} %`);
  // an ensemble that could not be asked has none of these
  const { accepted, n, quorum, epistemic, aleatoric } = ensemble ?? {};
  const counted = n === undefined ? null : `${accepted} of ${n} predictions; ${quorum} members are a quorum`;
  const within = epistemic === undefined ? null : `${number(epistemic, 2)}; within them ${number(aleatoric, 2)}`;
  return [
    h("h3", null, "Votes of the shadow ensemble"),
    rows.length > 0 && table(MEMBERS, ["Who", "Parameters", "Voted", "Agreed at"], rows, { class: "stacks" }),
    ensemble?.reason && h("p", null, ensemble.reason),
    ensemble &&
      definitions([
        ["Accepted", counted],
        ["Abstention", percent(ensemble.abstention)],
        ["Wrong among the accepted", percent(ensemble.ensemble)],
        ["One member, as often silent", percent(ensemble.single)],
        ["Variance between members", within],
      ]),
  ];
}

function evidence(run, plan, result, parts) {
  if (!run.evidence.length) return null;
  const near = new Map((plan?.evidence ?? []).map((one) => [one.sequence, one.nearest_learnt]));
  const decisive = parts.find((part) => part.name === result?.decisive)?.claim;
  const proof = plan?.proof && `${plan.proof.frames} frames, of which the model has learnt ${plan.proof.learnt}.`;
  return [
    h("h3", null, "Evidence"),
    proof && h("p", null, proof),
    run.evidence.map((one) => {
      const of = one.checkpoint && `${one.checkpoint.model?.name ?? "model"}, step ${one.checkpoint.step}`;
      const rows = one.on.map(({ first, last, sequence }) => [
        [sequence.source, " ", h("code", { title: sequence.uid }, sequence.uid.slice(0, 8))],
        `${first} … ${last}`,
        number(scored(one, sequence.uid, decisive)),
        result ? (result.cited.some((unit) => unit.split("@")[0] === sequence.uid) ? "yes" : "no") : "–",
        number(near.get(sequence.uid) ?? null, 3),
        frames(one.uid, sequence.uid, first, last),
      ]);
      const score = `fidelity ${number(one.fidelity)} (${number(one.fidelityLow)} … ${number(one.fidelityHigh)})`;
      const title = `Evaluation of ${of ?? "a checkpoint"}: ${score} over ${one.n} pairs`;
      const columns = ["Sequence", "Frames", decisive?.metric ?? "Value", "Cited", "Likeness to what was learnt", "Look"];
      return table(title, columns, rows, { class: "stacks evidence" });
    }),
  ];
}

function scored(evaluation, sequence, claim) {
  if (!claim) return null;
  const samples = evaluation.scores?.samples?.values?.[sequence];
  return (samples?.[claim.model] ?? samples?.model)?.[String(claim.horizon)]?.[0] ?? null;
}

// A film strip that is fetched when it is opened: heat maps, each a link to its image.
function frames(evaluation, sequence, first, last) {
  const strip = h("div", { class: "strip" }, "Loading …");
  const load = async () => {
    try {
      const found = await stretch(sequence, first, last);
      strip.replaceChildren(...found.map(frame));
      if (!found.length) strip.textContent = `Further on than ${PAGE * PAGES} frames.`;
    } catch (error) {
      strip.textContent = error.message;
    }
  };
  const opened = ({ target }) => target.open && !strip.querySelector("img") && load();
  const key = `${evaluation} ${sequence} ${first}`;
  return h("details", { "data-key": key, toggle: opened }, h("summary", null, "frames"), strip);
}

function frame({ tIndex, regime, imageUrl }) {
  const image = h("img", { src: imageUrl, width: 72, alt: `frame ${tIndex}${regime ? `, ${regime}` : ""}` });
  return h("a", { href: imageUrl }, image, h("small", null, `${tIndex}`));
}

async function stretch(sequence, first, last) {
  const seen = [];
  for (let page = 0, after = null; page < PAGES; page++) {
    const { nodes, pageInfo } = (await ask(STRIP, { sequence, after })).snapshots;
    seen.push(...nodes.filter((one) => one.tIndex >= first && one.tIndex <= last));
    after = pageInfo.endCursor;
    if (!pageInfo.hasNextPage || nodes.at(-1).tIndex >= last) break;
  }
  const count = Math.min(FRAMES, seen.length);
  return Array.from({ length: count }, (_, n) => seen[Math.round((n * (seen.length - 1)) / Math.max(count - 1, 1))]);
}

function books(run, test, done) {
  const budget = run.config?.compute_budget;
  const account = definitions([
    ["Energy", `${spent(run.stages)}${budget ? ` of a budget of ${budget}` : ""}`],
    ["How it is known", [...new Set(run.stages.map((one) => one.energySource).filter(Boolean))].join("; ") || null],
    ["Run", h("span", null, h("code", null, run.uid), run.device ? ` on ${run.device}` : "")],
    ["Made for it", made(run.children)],
  ]);
  return [h("h3", null, "Energy and certificate"), account, certificate(run, done.retire?.certificate)];
}

// Runs by kind, those that did not succeed with what became of them.
function made(children) {
  const counts = new Map();
  for (const { kind, state } of children) {
    const name = state === "SUCCEEDED" ? kind.toLowerCase() : `${kind.toLowerCase()} (${state.toLowerCase()})`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(", ") || null;
}

function certificate({ uid, state, certificate: issued }, closing) {
  if (issued) {
    const file = `certificate-${issued.number}.json`;
    const href = `/certificates/${encodeURIComponent(uid)}.json`;
    const download = h("a", { href, download: file }, `Certificate no. ${issued.number}`);
    return [
      h("p", null, download, ` attests ${joules(issued.energyJoules)}, ${issued.energySource}; issued `, when(issued.issuedAt)),
      h("p", null, "Digest ", h("code", { class: "long" }, issued.digest), ". Check it anywhere, without graph or network:"),
      h("pre", { tabindex: 0 }, `fieldgraph certificate verify ${file}`),
    ];
  }
  if (closing?.reasons?.length) return h("p", null, `No certificate: ${closing.reasons.join("; ")}.`);
  if (closing?.due && state === "SUCCEEDED") return h("p", null, "A certificate is due; a worker issues it next.");
  return h("p", null, "No certificate: only an experiment that retired in good order has one.");
}
