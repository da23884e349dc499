// Mounts GraphiQL on /graphql. Queries go by POST; a subscription comes back as server-sent events on the same path.
"use strict";

const EXAMPLE = `# What the graph holds, and what was predicted.
# Ctrl-Enter runs.
{
  domains {
    nodes {
      name
      title
      sequences(first: 3) { nodes { uid source length } }
    }
  }
  predictions(first: 3) {
    nodes {
      uid
      fidelity
      start { uid t totalEnergy }
      steps(first: 5) {
        lead
        snapshot { uid totalEnergy imageUrl }
      }
    }
  }
}
`;

async function* serverSentEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split(/\r?\n\r?\n/);
    buffer = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (lines.some((line) => line.trim() === "event: complete")) return;
      if (data.trim()) yield JSON.parse(data);
    }
  }
}

async function fetcher(parameters, options) {
  const names = options?.documentAST?.definitions ?? [];
  const streams = names.some(
    (one) =>
      one.kind === "OperationDefinition" &&
      one.operation === "subscription" &&
      (!parameters.operationName || one.name?.value === parameters.operationName),
  );
  const response = await fetch("/graphql", {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "Content-Type": "application/json",
      Accept: streams ? "text/event-stream" : "application/json",
      ...options?.headers,
    },
    body: JSON.stringify(parameters),
  });
  const isStream = (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
  return isStream ? serverSentEvents(response) : response.json();
}

const place = document.getElementById("graphiql");
if (window.GraphiQL && window.ReactDOM) {
  const page = React.createElement(GraphiQL, { fetcher, defaultQuery: EXAMPLE, headerEditorEnabled: true });
  ReactDOM.createRoot(place).render(page);
} else {
  const note = document.createElement("p");
  note.textContent = "GraphiQL is not here yet: run `fieldgraph db fetch` with network access and load this page again.";
  place.replaceChildren(note);
}
