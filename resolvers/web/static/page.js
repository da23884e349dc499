// Mounts GraphiQL on /graphql.
import { isStream, send, serverSentEvents } from "/static/graphql.js";

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

async function fetcher(parameters, options) {
  const names = options?.documentAST?.definitions ?? [];
  const streams = names.some(
    (one) =>
      one.kind === "OperationDefinition" &&
      one.operation === "subscription" &&
      (!parameters.operationName || one.name?.value === parameters.operationName),
  );
  const response = await send(parameters, { streams, headers: options?.headers });
  return isStream(response) ? serverSentEvents(response) : response.json();
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
