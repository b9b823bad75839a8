// An S3-compatible server on a free port of loopback, or of ADDRESS. What it notifies of is sent to a web hook, as
// servers that have web hooks themselves do: one request for each event, a bearer token, and again
// until it is answered with 2xx. Ends with its standard input. Usage:
// server.mjs FOLDER [ADDRESS]
import { createInterface } from "node:readline";
import S3rver from "s3rver";

const server = new S3rver({
  address: process.argv[3] ?? "127.0.0.1",
  port: 0,
  silent: true,
  directory: process.argv[2],
  configureBuckets: [{ name: "uploads" }],
});
let hook = null;

async function send(event) {
  for (const record of event.Records) {
    // Keys come in clear from this server; from all others as in a form.
    record.s3.object.key = encodeURIComponent(record.s3.object.key).replace(/%20/g, "+");
  }
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      const answer = await fetch(hook.url, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${hook.token}` },
        body: JSON.stringify(event),
      });
      if (answer.ok) return;
    } catch {
      // nobody there: again
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

server.on("event", (event) => {
  if (hook !== null) void send(event);
});
const { port } = await server.run();
console.log(JSON.stringify({ port }));
createInterface({ input: process.stdin })
  .on("line", (line) => {
    hook = JSON.parse(line);
    console.log("{}");
  })
  .on("close", () => process.exit(0));
