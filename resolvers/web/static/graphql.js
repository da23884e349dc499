// Operations of the API: queries by POST; a subscription comes back as server-sent events on the same path.

export class Refused extends Error {
  constructor({ message, extensions }) {
    super(message);
    this.code = extensions?.code ?? "GRAPHQL_ERROR";
    this.nextStep = extensions?.nextStep ?? "";
  }
}

export async function send(parameters, { streams = false, headers = {}, signal } = {}) {
  return fetch("/graphql", {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "Content-Type": "application/json",
      Accept: streams ? "text/event-stream" : "application/json",
      ...headers,
    },
    body: JSON.stringify(parameters),
    signal,
  });
}

// The data of one query; the first error is thrown.
export async function ask(query, variables = {}) {
  return data(await (await send({ query, variables })).json());
}

// The data of each event of a subscription, until it ends.
export async function* watch(query, variables, signal) {
  for await (const result of events(await send({ query, variables }, { streams: true, signal }))) yield data(result);
}

// Whatever the response holds: its events, one result where it is no stream.
export async function* events(response) {
  if (isStream(response)) yield* serverSentEvents(response);
  else yield await response.json();
}

export const isStream = (response) => (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");

export async function* serverSentEvents(response) {
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
      const said = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (lines.some((line) => line.trim() === "event: complete")) return;
      if (said.trim()) yield JSON.parse(said);
    }
  }
}

function data(result) {
  if (result.errors?.length) throw new Refused(result.errors[0]);
  return result.data;
}
